"""The runtime tests without pytest: Python 3.10 or newer, numpy and onnxruntime are enough.

    python verify/run.py [DIR] [--json FILE|-] [--threads N]

The artifact is the folder around this one, or DIR. Exits 0 yes, 1 no, 2 usage, 3 inconclusive, 4 integrity,
141 where whoever read the output has gone.

This file is written so that every Python can read it, and so it has no annotations: an old one says in a sentence
what it lacks. Of its folder it loads what SHA256SUMS lists and nothing else: neither a module that lies beside it nor
a compiled file of a cache.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:] = [path for path in sys.path if os.path.realpath(path or os.curdir) != HERE]  # python puts it first
AROUND = os.path.dirname(HERE)
BESIDE = (os.path.join(AROUND, "check.py"), os.path.join(AROUND, "edgeticket", "artifact", "checks.py"))
OLDEST = (3, 10)


def refuse_an_old_python():
    """Exit with 2 and a sentence where this Python cannot run the checks."""
    if tuple(sys.version_info[:2]) < OLDEST:
        here = ".".join(str(part) for part in sys.version_info[:3])
        sys.stderr.write("the checks need Python 3.10 or newer, and this is %s; run %s with that\n" % (here, __file__))
        sys.exit(2)


def load_checks():
    """check.py of the artifact, or of a checkout, compiled from its source."""
    import types

    path = next((path for path in BESIDE if os.path.exists(path)), None)
    if path is None:
        sys.stderr.write("no checks: %s is missing; copy the whole artifact\n" % BESIDE[0])
        sys.exit(2)
    sys.dont_write_bytecode = True
    module = types.ModuleType("edgeticket_checks")
    module.__file__ = path
    sys.modules[module.__name__] = module  # dataclasses look their module up
    with open(path, "rb") as stream:
        exec(compile(stream.read(), path, "exec"), module.__dict__)
    return module


def main(arguments):
    """Check, print a line for each check. Returns the exit code."""
    refuse_an_old_python()
    given = list(arguments)
    named = any(not part.startswith("-") for part in _without_values(given))
    if not named and os.path.exists(os.path.join(AROUND, "SHA256SUMS")):
        given.insert(0, AROUND)
    try:
        checks = load_checks()
    except ImportError as error:
        sys.stderr.write("the checks need numpy and onnxruntime (%s): pip install numpy onnxruntime\n" % error)
        return 2
    return int(checks.main(given))


def _without_values(arguments):
    """The arguments but for the values of options."""
    kept, skip = [], False
    for part in arguments:
        if not skip:
            kept.append(part)
        skip = part in ("--json", "--threads")
    return kept


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
