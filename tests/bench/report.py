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

    def title(self, text):
        print(text, flush=True)

    def note(self, text):
        print(f"  {text}", flush=True)

    def skip(self, why):
        self.broken("nothing was measured", why)

    def end(self, seconds):
        """The last line; the exit status."""
        said = f"{self.failed} bars do not hold" if self.failed else "every bar holds" if self.held else "there was nothing to judge"
        print(f"{said}; took {seconds:.0f} s")
        return 1 if self.failed else 0


class Tap(Report):
    """The same as a test tells it."""

    def __init__(self):
        super().__init__()
        self.about = ""

    def _judge(self, good, text):
        self.held += good
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.held + self.failed} - {self.about}{text}", flush=True)

    def title(self, text):
        self.about = text + ": "

    def note(self, text):
        print(f"# {text}", flush=True)

    def skip(self, why):
        self.held += 1
        print(f"ok {self.held + self.failed} - # SKIP {why}")

    def end(self, seconds):
        print(f"1..{self.held + self.failed}")
        return 1 if self.failed else 0
