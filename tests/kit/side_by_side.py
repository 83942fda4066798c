"""Runs pytest over groups of folders at the same time: `python -m tests.kit.side_by_side [ARGUMENTS OF PYTEST]`.

Tests over real servers wait most of the time. The first group is shown as it runs, the others when they have ended.
"""

import contextlib
import subprocess
import sys
import tempfile

# Of about the same length.
GROUPS = (("tests/integration",), ("tests/e2e",), ("tests/property", "tests/chaos"))
NOTHING_COLLECTED = 5  # pytest's exit code: the arguments chose no test of a group


def main(arguments: list[str]) -> int:
    """The exit code: 0 when every group has passed."""
    running: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(tempfile.TemporaryFile()) for _ in GROUPS[1:]]
        try:
            for folders, shown in zip(GROUPS, [None, *outputs], strict=True):
                command = [sys.executable, "-m", "pytest", *folders, *arguments]
                running.append(subprocess.Popen(command, stdout=shown, stderr=shown))
            codes = [each.wait() for each in running]
        except KeyboardInterrupt:
            codes = [each.wait() for each in running]  # they got it, too, and tidy up
        for output in outputs:
            output.seek(0)
            sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return next((code for code in codes if code not in (0, NOTHING_COLLECTED)), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
