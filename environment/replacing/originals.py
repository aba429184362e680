"""The definitions of a service that can be replaced, read from its files: nothing is imported."""

import ast
import symtable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from environment.compose import ROOT
from environment.errors import LabError, UnknownName

SERVICES = "microservices"
KIT = "kit"
"""The package that services share. A target in it begins with its name: `kit.events.inbox.first_time`."""

READ_FIRST = {
    *("__main__", "settings", "kit.main", "kit.settings", "kit.file_limit", "kit.workers"),
    "kit.replacement",
}
"""Modules that a service uses before anything can be replaced."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Original:
    """What a target names: `file` relative to the clone, its text, the definition's name and tree."""

    target: str
    service: str
    file: Path
    name: str
    text: str
    node: Definition

    @property
    def module(self) -> str:
        """The module's full name."""
        return ".".join(self.file.with_suffix("").parts).removesuffix(".__init__")

    @property
    def package(self) -> str:
        """The service's own package."""
        return f"{SERVICES}.{package_of(self.service)}"

    def names(self) -> set[str]:
        """Return the names that the module defines or imports."""
        symbols = symtable.symtable(self.text, self.file.name, "exec").get_symbols()
        return {
            symbol.get_name()
            for symbol in symbols
            if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
        }

    def imports(self) -> set[str]:
        """Return the packages that the module imports."""
        return {package for node in ast.walk(ast.parse(self.text)) for package in imported(node)}


def find_original(service: str, target: str) -> Original:
    """Return what `target` names in a service, such as `breaker.Breaker.is_failure` in api-gateway.

    Raises:
        UnknownName: there is nothing of that name; the message lists names like it.
        LabError: the service has no code of the course, or uses the module before anything can be replaced.
    """
    parts = target.split(".")
    for place in range(len(parts) - 1, 0, -1):
        file = _file(service, parts[:place])
        if file is None:
            continue
        if ".".join(parts[:place]) in READ_FIRST:
            raise LabError(
                f"{service} reads {file.relative_to(ROOT).as_posix()} before anything can be replaced. "
                "Choose a function of another module."
            )
        text = file.read_text(encoding="utf-8")
        name = ".".join(parts[place:])
        if node := definitions(ast.parse(text)).get(name):
            return Original(target, service, file.relative_to(ROOT), name, text, node)
        break
    raise UnknownName(_unknown(service, target))


def targets(service: str, *, kit: bool = False) -> list[str]:
    """Return every target of a service, or those of the kit."""
    folder = _folder(service)
    if kit:
        folder = folder.parent / KIT
    found = []
    for file in sorted(folder.rglob("*.py")):
        module = ".".join(file.relative_to(folder).with_suffix("").parts).removesuffix("__init__")
        module = ".".join(part for part in (KIT if kit else "", module.rstrip(".")) if part)
        if module and module not in READ_FIRST:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            found += [f"{module}.{name}" for name in definitions(tree)]
    return found


def definitions(within: ast.Module | ast.ClassDef, prefix: str = "") -> dict[str, Definition]:
    """Return the functions, classes and methods of a module by their names."""
    found: dict[str, Definition] = {}
    for node in within.body:
        if isinstance(node, Definition):
            found[prefix + node.name] = node
        if isinstance(node, ast.ClassDef):
            found |= definitions(node, f"{prefix}{node.name}.")
    return found


def imported(node: ast.AST) -> list[str]:
    """Return the modules that a statement imports, by their full names; none for any other node."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return []


def package_of(service: str) -> str:
    """Return the name of a service's package."""
    return service.replace("-", "_")


def _folder(service: str) -> Path:
    folder = ROOT / SERVICES / package_of(service)
    if not folder.is_dir():
        raise LabError(
            f"Only the course's own services run your code; {service} is not one of them."
        )
    return folder


def _file(service: str, parts: list[str]) -> Path | None:
    """Return the file of a module, whose names are identifiers and so never lead out of the folder."""
    folder = _folder(service)
    if not all(part.isidentifier() for part in parts):
        return None
    if parts[0] == KIT:
        folder = folder.parent
    place = folder.joinpath(*parts)
    return next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)


def _unknown(service: str, target: str) -> str:
    known = targets(service, kit=target.partition(".")[0] == KIT)
    near = get_close_matches(target, known, n=5, cutoff=0.5)
    last = target.rpartition(".")[2]
    near += [name for name in known if name.rpartition(".")[2] == last and name not in near][:3]
    modules = sorted({name.partition(".")[0] for name in known})
    listed = f"Near names are: {', '.join(near)}" if near else f"Modules: {', '.join(modules)}"
    return (
        f"{service} has no {target!r} to replace: write module.function or module.Class.method. "
        f"{listed}."
    )


def stub(service: str, target: str) -> str:
    """Return the original's first lines for a student to fill in: the signature, the docstring, and dots.

    Of a class, each method has them. Raises `UnknownName`.
    """
    return stub_of(find_original(service, target).node)


def stub_of(node: Definition) -> str:
    """Return the first lines of a definition, as `stub` does."""
    node.decorator_list = []
    _empty(node)
    return ast.unparse(node) + "\n"


def _empty(node: Definition, depth: int = 1) -> None:
    text = ast.get_docstring(node)
    docstring = [] if text is None else [ast.Expr(ast.Constant(_indented(text, depth)))]
    if not isinstance(node, ast.ClassDef):
        node.body = [*docstring, ast.Expr(ast.Constant(...))]
        return
    node.body[: len(docstring)] = docstring
    for part in node.body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            _empty(part, depth + 1)


def _indented(docstring: str, depth: int) -> str:
    """Return a docstring for a place that may be less deep than the original's."""
    margin = " " * 4 * depth
    lines = docstring.splitlines()
    if len(lines) < 2:
        return docstring
    rest = [margin + line if line else "" for line in lines[1:]]
    return "\n".join([lines[0], *rest, margin])
