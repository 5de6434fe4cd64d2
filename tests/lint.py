"""The checks of tests/run that only read: each function returns what it found wrong, as lines of text."""

import pathlib
import re
import subprocess

TOP = pathlib.Path(__file__).resolve().parent.parent

LONGEST_FILE = 700
BUILD_OUTPUT = re.compile(r"(^|/)(build[^/]*|autom4te\.cache|__pycache__|\.git)(/|$)")
# Written so that this file does not find itself.
MARKS = re.compile(r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K]|stu[b]|for no[w]|not implemente[d])\b|^(<{7}|>{7}|={7})( |$)")
PATHS = re.compile(r"/wor[k]/|/roo[t]/|/hom[e]/[a-z]|\.\./share[d]")
REGISTRIES = re.compile(r"\b(deb|registry|pypi|npm|ftp)\.[a-z.-]+\.(org|com|io)\b")


def files():
    """The project's own files: what git tracks or would track; without git, all but what a build leaves."""
    git = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=TOP,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) if (TOP / ".git").exists() else None
    if git and git.returncode == 0:
        names = git.stdout.splitlines()
    else:
        names = [str(path.relative_to(TOP)) for path in TOP.rglob("*")]
    return sorted(TOP / name for name in names if (TOP / name).is_file() and not BUILD_OUTPUT.search(name))


def texts(*folders):
    """(name, lines) of each text file, of these top-level folders or files only when some are given."""
    for path in files():
        name = path.relative_to(TOP)
        if folders and name.parts[0] not in folders:
            continue
        try:
            yield str(name), path.read_text().splitlines()
        except UnicodeDecodeError:
            pass


def matches(pattern, *folders):
    return [f"{name}:{number}: {line.strip()}" for name, lines in texts(*folders)
            for number, line in enumerate(lines, 1) if pattern.search(line)]


def output_of(*argv):
    """What a checker says, when it says anything or fails."""
    done = subprocess.run([str(arg) for arg in argv], cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.stdout.splitlines() or ([f"{argv[0]} exited with {done.returncode}"] if done.returncode else [])


def interpreter(path):
    with path.open("rb") as file:
        first = file.readline(100).decode(errors="replace")
    return re.split(r"[/ ]", first.strip())[-1] if first.startswith("#!") else ""


def check_format():
    sources = [path for path in files() if path.suffix in (".c", ".h")]
    return output_of("clang-format", "--dry-run", "-Werror", *sources) if sources else []


def check_file_length():
    return [f"{name}: {len(lines)} lines, more than {LONGEST_FILE}"
            for name, lines in texts("src", "static") if len(lines) > LONGEST_FILE]


def check_unfinished_marks():
    return matches(MARKS, "src", "static", "tests", "man", "packaging", "README", "Makefile", "configure.ac")


def check_machine_paths():
    return matches(PATHS)


def check_registry_names():
    return matches(REGISTRIES)


def check_white_space():
    return matches(re.compile(r"[ \t]+$"), "src", "static", "tests", "man", "packaging", "Makefile", "configure.ac")


def check_shell():
    return [line for path in files() if interpreter(path) in ("sh", "bash")
            for line in output_of(interpreter(path), "-n", path)]


def check_python():
    wrong = []
    for path in files():
        if path.suffix == ".py" or interpreter(path) == "python3":
            try:
                compile(path.read_bytes(), str(path.relative_to(TOP)), "exec")
            except SyntaxError as error:
                wrong.append(f"{error.filename}:{error.lineno}: {error.msg}")
    return wrong


def check_manual():
    pages = sorted(TOP.glob("man/*.[1-8]"))
    # Pages that are not installed yet are not found when one refers to another.
    return [line for page in pages for line in output_of("mandoc", "-Tlint", page)
            if "referenced manual not found" not in line]


LINT = [check_file_length, check_unfinished_marks, check_machine_paths, check_registry_names, check_white_space,
        check_shell, check_python, check_manual]
