"""Who may import whom: data flows one way, and heavy libraries load only where they are needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import geodl

PACKAGE = Path(geodl.__file__).parent

# Room -> rooms that it may import. A room is a module or package directly under geodl.
MAY_IMPORT = {
    "errors": set(),
    "calendars": {"errors"},
    "heap": set(),
    "shipped": set(),
    "words": set(),
    "look": set(),
    "folder_lock": set(),
    "sidecar": {"errors"},
    "device": {"errors"},
    "task": set(),
    "tiles": set(),
    "stitch": {"tiles"},
    "scene": {"calendars", "errors", "tiles"},
    "models": {"calendars", "errors", "task"},
    "match": {"calendars", "errors", "models", "scene", "task"},
    "ahead": set(),
    "pixels": {"scene", "tiles"},
    "standard": {"ahead", "errors", "pixels", "scene"},
    "alignment": {"errors", "scene", "tiles"},
    "stream": {"errors"},
    "scores": {"errors"},
    "views": set(),
    "forward": {"errors", "heap", "match", "models", "scores", "stream", "views"},
    "block": {
        "ahead",
        "errors",
        "forward",
        "match",
        "models",
        "pixels",
        "scene",
        "scores",
        "stitch",
        "stream",
        "task",
        "tiles",
    },
    "predict": {
        "block",
        "device",
        "errors",
        "forward",
        "heap",
        "match",
        "models",
        "scene",
        "standard",
        "stream",
        "task",
        "tiles",
    },
    "audit": {"block", "errors", "models", "predict", "scene", "tiles"},
    "explain": {"block", "errors", "models", "pixels", "predict", "publish", "scene", "tiles"},
    "store": {"errors", "folder_lock", "tiles"},
    "vector": {"errors", "models", "sidecar", "task", "tiles"},
    "publish": {"errors", "folder_lock", "models", "task", "tiles"},
    "assess": {"errors", "scene", "sidecar", "tiles"},
    "survey": {"assess", "errors", "publish", "scene", "tiles", "vector"},
    "training": {
        "assess",
        "calendars",
        "device",
        "errors",
        "folder_lock",
        "heap",
        "look",
        "match",
        "models",
        "scene",
        "sidecar",
        "standard",
        "task",
        "tiles",
        "views",
        "words",
    },
    "report": {"models"},
    "plan": {"block", "errors", "forward", "pixels", "tiles"},
    "probing": {"models", "pixels", "predict", "tiles"},
    "comparing": {
        "assess",
        "block",
        "errors",
        "match",
        "models",
        "pixels",
        "plan",
        "predict",
        "scene",
        "tiles",
    },
    "change_map": {"alignment", "block", "models", "publish", "scene", "store", "task", "tiles", "vector"},
    "changes": {
        "alignment",
        "catalogue",
        "errors",
        "map_project",
        "match",
        "models",
        "page",
        "publish",
        "scene",
        "store",
        "task",
        "tiles",
        "vector",
    },
    "map_project": {"models", "publish", "scene", "task"},
    "catalogue": {"models", "publish", "task"},
    "page": {"look", "models", "publish", "scene", "task", "tiles", "vector"},
    "products": {
        "alignment",
        "block",
        "catalogue",
        "change_map",
        "map_project",
        "models",
        "page",
        "publish",
        "store",
        "task",
        "tiles",
        "vector",
    },
    "batch": {"errors", "heap", "tiles"},
    "sources": {"alignment", "errors", "publish", "scene"},
    "pairs": {"errors", "scene", "sources"},
    "series": {"errors", "scene", "sources"},
    "scene_run": {
        "batch",
        "block",
        "errors",
        "models",
        "plan",
        "predict",
        "products",
        "publish",
        "store",
        "task",
        "tiles",
    },
    "viewing": {"errors", "look", "models", "page", "publish", "scene", "store", "task"},
    "change_run": {"changes", "publish", "tiles"},
    "job": {
        "alignment",
        "batch",
        "change_run",
        "changes",
        "errors",
        "models",
        "plan",
        "publish",
        "scene_run",
        "sources",
        "task",
    },
    "workflow": {"changes", "errors", "job", "models", "pairs", "scene"},
    "plugin": set(),
    "demo": {"assess", "errors", "job", "match", "models", "report", "scene", "shipped", "task"},
    "doctor": {"errors", "models"},
    "finished": {"errors", "models", "publish", "scene", "task", "vector"},
    "__main__": {"cli"},
    "rio_plugin": {"cli"},
    "cli": {
        "alignment",
        "assess",
        "batch",
        "changes",
        "comparing",
        "device",
        "doctor",
        "forward",
        "plan",
        "pairs",
        "scene_run",
        "series",
        "sources",
        "survey",
        "task",
        "words",
        "workflow",
        "audit",
        "demo",
        "errors",
        "explain",
        "heap",
        "job",
        "match",
        "models",
        "probing",
        "products",
        "report",
        "scene",
        "shipped",
        "training",
        "viewing",
    },
}
WITHOUT_TORCH = {
    "calendars",
    "folder_lock",
    "sidecar",
    "plugin",
    "alignment",
    "errors",
    "words",
    "look",
    "page",
    "viewing",
    "task",
    "tiles",
    "stitch",
    "scene",
    "match",
    "store",
    "vector",
    "publish",
    "assess",
    "survey",
    "report",
    "cli",
}
WITHOUT_RASTERIO = {
    "calendars",
    "folder_lock",
    "sidecar",
    "plugin",
    "errors",
    "words",
    "look",
    "task",
    "tiles",
    "stitch",
    "models",
    "device",
    "forward",
    "heap",
    "report",
    "cli",
}
SPEC_ONLY = {"vector", "publish", "match", "report"}  # of the models they may know the description only

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported(path):
    """Names of all modules that a file imports, at its top or inside functions, type checking aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checking = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and getattr(branch.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in checking:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_data_flows_one_way(path):
    room = room_of(path)
    if room == "__init__":
        return
    assert room in MAY_IMPORT, f"the room {room} is new: give it a row here"
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "torch" and room in WITHOUT_TORCH:
            pytest.fail(f"{room} imports torch")
        if parts[0] == "rasterio" and room in WITHOUT_RASTERIO:
            pytest.fail(f"{room} imports rasterio")
        if parts[0] != "geodl" or len(parts) < 2 or parts[1] in (room, "__version__"):
            continue
        assert parts[1] in MAY_IMPORT[room], f"{room} imports {name}"
        if parts[1] == "models" and room in SPEC_ONLY:
            assert parts[2] == "spec", f"{room} imports {name}"


def test_the_table_has_no_circle_and_no_stale_row():
    assert {room_of(path) for path in MODULES} - {"__init__"} == set(MAY_IMPORT)
    done: set[str] = set()
    while len(done) < len(MAY_IMPORT):
        ready = {room for room, needs in MAY_IMPORT.items() if needs <= done} - done
        assert ready, f"a circle among {set(MAY_IMPORT) - done}"
        done |= ready


@pytest.mark.parametrize(
    "statement",
    [
        "import geodl",
        "from geodl.cli import main; main(['--help'], standalone_mode=False)",
        "from geodl.cli import main; main(['models', 'list'], standalone_mode=False)",
    ],
)
def test_light_commands_load_neither_torch_nor_rasterio(statement):
    code = f"import sys; {statement}; print('HEAVY', sorted({{'torch', 'rasterio'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("HEAVY []")


def test_public_names_are_what_they_say():
    code = (
        "import geodl, geodl.predict, geodl.assess; from geodl.predict import make_job; import inspect;"
        "assert all(callable(getattr(geodl, name)) for name in geodl.__all__ if name != '__version__');"
        "assert inspect.isfunction(geodl.predict)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_public_name_fails():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = geodl.nonsense


FORBIDDEN_CALLS = {"eval", "exec", "pickle.load", "pickle.loads", "torch.load", "yaml.load", "os.system"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_can_bring_code(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            tensors_only = any(
                k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords
            )
            if ast.unparse(node.func) != "torch.load" or not tensors_only:
                assert ast.unparse(node.func) not in FORBIDDEN_CALLS
    assert not {name.split(".")[0] for name in imported(path)} & {"pickle", "cloudpickle", "dill"}
