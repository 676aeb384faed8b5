import re

import pytest

from mmc_viz.widgets import assembling
from mmc_viz.widgets.assembling import CSS, JS, assemble, style

SOURCES = {path.name: path.read_text(encoding="utf-8") for path in sorted(JS.glob("*.js"))}
WIDGETS = [name for name, source in SOURCES.items() if "\nexport default { render };" in source]
EXPORTED = re.compile(r"^export (?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)
TOP_LEVEL = re.compile(r"^(?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)


@pytest.mark.parametrize("name", WIDGETS)
def test_a_widget_is_one_module_in_which_no_name_stands_twice(name):
    whole = assemble(name)
    assert not re.search(r"^(import|export (?!default))", whole, re.MULTILINE)
    assert whole.count("export default") == 1
    names = TOP_LEVEL.findall(whole)
    assert "render" in names and len(names) == len(set(names))


def test_what_is_imported_stands_before_it_is_used(tmp_path, monkeypatch):
    (tmp_path / "a.js").write_text("export const one = 1;\n")
    (tmp_path / "b.js").write_text('import { one } from "./a.js";\nexport const two = one + 1;\n')
    imports = 'import { two } from "./b.js";\nimport { one } from "./a.js";\n'
    (tmp_path / "c.js").write_text(f"{imports}export default {{ render }};\n")
    monkeypatch.setattr(assembling, "JS", tmp_path)
    lines = [line for line in assemble("c.js").split("\n") if line]
    assert lines == ["const one = 1;", "const two = one + 1;", "export default { render };"]


def test_an_import_of_what_is_not_there_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.js").write_text("const one = 1;\n")
    (tmp_path / "b.js").write_text('import { one } from "./a.js";\n')
    monkeypatch.setattr(assembling, "JS", tmp_path)
    with pytest.raises(ValueError, match="b.js imports `one`, which a.js does not export"):
        assemble("b.js")


@pytest.mark.parametrize("name", SOURCES)
def test_what_a_module_exports_another_uses(name):
    others = "\n".join(source for other, source in SOURCES.items() if other != name)
    imported = set(re.findall(r"\w+", " ".join(re.findall(r"^import \{([^}]*)\}", others, re.M))))
    assert set(EXPORTED.findall(SOURCES[name])) <= imported


@pytest.mark.parametrize("name", WIDGETS)
def test_a_style_sheet_touches_no_other_widget(name):
    """All sheets of a notebook lie on one page: each rule names the root of its own widget."""
    (root,) = re.findall(r'openFrame\(model, el, "([\w-]+)"\)', SOURCES[name])
    sheet = (CSS / name.replace(".js", ".css")).read_text(encoding="utf-8")
    plain = re.sub(r"/\*.*?\*/|^@keyframes.*?^\}$", "", sheet, flags=re.DOTALL | re.MULTILINE)
    rules = re.findall(r"([^{};]+)\{", plain)
    selectors = [
        one.strip()
        for rule in rules
        if not rule.strip().startswith("@")
        for one in re.split(r",(?![^(]*\))", rule)  # not those within :is()
    ]
    roots = rf"\.mmcviz-{root}(?![\w-])"
    if name == "prediction.js":  # its sheet is that of the curve as well
        roots += r'|\[class\*="mmcviz-prediction"\]'
    own = re.compile(f"^(?:{roots})")
    assert selectors and [one for one in selectors if not own.match(one)] == []


def test_the_sheet_of_all_widgets_comes_first():
    whole = style("noise_bench.css")
    assert whole.startswith((CSS / "base.css").read_text(encoding="utf-8"))
    assert ".mmcviz-bench" in whole
