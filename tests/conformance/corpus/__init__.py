"""Compares what tapedeck says about captures with facts that independent readers found in them."""
