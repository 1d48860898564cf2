"""What measuring scripts have in common: bars that hold or do not."""

MB = 1e6


class Failed(Exception):
    """A command that did not do what it should."""


class Report:
    """Collects the bars."""

    def __init__(self):
        self.held = 0
        self.failed = 0

    def _judge(self, good, text):
        self.held += good
        self.failed += not good
        print(f"  {'PASS' if good else 'FAIL'}  {text}", flush=True)

    def bar(self, what, value, least=None, most=None, unit=""):
        good = (least is None or value >= least) and (most is None or value <= most)
        wanted = f"at least {least}{unit}" if least is not None else f"at most {most}{unit}"
        self._judge(good, f"{what}: {value:.2f}{unit}, {wanted}")

    def same(self, what, value, wanted, meaning):
        self._judge(value == wanted, f"{what}: {value}, {meaning}: {wanted}")

    def holds(self, what, good, said=""):
        self._judge(bool(good), f"{what}{': ' if said else ''}{said}")

    def broken(self, what, why):
        self._judge(False, f"{what}: {why}")

    def end(self, seconds):
        """The last line; the exit status."""
        said = f"{self.failed} bars do not hold" if self.failed else "every bar holds" if self.held else "there was nothing to judge"
        print(f"{said}; took {seconds:.0f} s")
        return 1 if self.failed else 0
