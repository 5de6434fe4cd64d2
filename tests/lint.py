"""The checks of tests/run that only read: each function returns what it found wrong, as lines of text."""

import pathlib
import re
import subprocess
import tempfile

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
            for name, lines in texts("src", "static", "tests", "packaging") if len(lines) > LONGEST_FILE]


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


def modules_are_refused(text):
    """Whether the packer refuses a module with this statement, where `words` is imported."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "words.js").write_text("export const words = () => 1;\n")
        (pathlib.Path(folder) / "main.js").write_text('import { words } from "./words.js";\n' + text + "\n")
        return any("words, which it imports" in line for line in pack(folder))


def pack(folder):
    done = subprocess.run([TOP / "packaging" / "pack-modules", folder], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return done.stderr.splitlines() or ([f"pack-modules exited with {done.returncode}"] if done.returncode else [])


def check_modules_hide_no_import():
    """A module declares no name that it imports: not locally, as a parameter, or by taking an object apart."""
    hides = ["function a() { const words = 2; return words; }", "const a = (words) => words();",
             "const a = ({ b: words }) => words();", "const a = ([words]) => words();",
             "try { words(); } catch (words) { words(); }", "for (const words of []) words();"]
    return (pack(TOP / "static" / "js") + [f"not refused: {text}" for text in hides if not modules_are_refused(text)] +
            (["refused: a property"] if modules_are_refused("const a = ({ words: b }) => words(b.words);") else []))


def check_words_of_the_page():
    """What the page asks words() for stands in index.html, and nothing there is left over."""
    there = re.findall(r"<p id=(\w+)>", (TOP / "static" / "index.html").read_text())
    scripts = "".join(path.read_text() for path in sorted(TOP.glob("static/js/*.js")))
    asked = re.findall(r'\bwords\(\s*"(\w+)"', scripts)
    begun = tuple(re.findall(r'\bwords\("(\w+_)" \+', scripts))
    return ([f"not in index.html: {one}" for one in asked if one not in there and not one.endswith("_")] +
            [f"twice in index.html: {one}" for one in set(there) if there.count(one) > 1] +
            [f"asked for by nobody: {one}" for one in there if not one.startswith(begun) and f'"{one}"' not in scripts])


def check_manual():
    pages = sorted(TOP.glob("man/*.[1-8]"))
    # Pages that are not installed yet are not found when one refers to another.
    return [line for page in pages for line in output_of("mandoc", "-Tlint", page)
            if "referenced manual not found" not in line]


LINT = [check_file_length, check_unfinished_marks, check_machine_paths, check_registry_names, check_white_space,
        check_shell, check_python, check_modules_hide_no_import,
        check_words_of_the_page, check_manual]
