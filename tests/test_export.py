"""Lessons as HTML files, part by part; and one tiny notebook from its kernel to a browser."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mmc_viz.browser import visit
from mmc_viz.export import Executed, execute, lessons, page, write_site
from mmc_viz.export.cells import render_cells
from mmc_viz.export.embedding import data_script, sealed_script
from mmc_viz.export.formulas import to_mathml
from mmc_viz.export.lessons import find_lesson, read_lesson
from mmc_viz.export.markdown import Reader, plain, typeset
from mmc_viz.export.models import Models
from mmc_viz.export.outputs import PLOTLY, WIDGET, render_output

# ---- formulas


def words(tex, **kwargs):
    """All that a formula says, without its markup."""
    return re.sub(r"<[^>]+>", "", to_mathml(tex, **kwargs))


@pytest.mark.parametrize(
    ("tex", "said"),
    [
        (r"\tfrac12 \lVert z - \mu_y \rVert^2", "12‖z−μy‖2"),
        (r"-\log\,\mathrm{softmax}_y(Wz + b)", "−logsoftmaxy(Wz+b)"),
        (r"\max_{j \ne y} h_j - h_y", "maxj≠yhj−hy"),
        (r"\arg\max_i h_i", "argmaxihi"),
        (r"\operatorname{sign}(\nabla_x \ell)", "sign(∇xℓ)"),
        (r"\langle \mu_i, \mu_j \rangle = -\frac{1}{L-1}", "⟨μi,μj⟩=−1L−1"),
        (r"\boldsymbol{\mu} + \mathbf{x}", "𝝁+𝐱"),
        (r"e^{-222} \approx 10^{-96}", "e−222≈10−96"),
        (r"x < y", "x&lt;y"),
    ],
)
def test_a_formula_says_what_its_tex_says(tex, said):
    assert words(tex) == said


def test_bars_of_a_norm_open_and_close():
    forms = re.findall(r'form="(\w+)"[^>]*>‖', to_mathml(r"\lVert a \rVert + \|b\|"))
    assert forms == ["prefix", "postfix"] * 2
    assert "form=" not in to_mathml("p(y|x)")


def test_names_of_functions_are_words_and_products_are_letters():
    assert '<mi mathvariant="normal">softmax</mi>' in to_mathml(r"\mathrm{softmax}(x)")
    assert "<mi>a</mi><mi>b</mi>" in to_mathml("ab")
    assert ">log</mo>" in to_mathml(r"\log x")


@pytest.mark.parametrize(
    ("tex", "signs"),
    [("x = -1", 1), ("(-1/3)", 1), ("a, -b", 1), ("a - b", 0), (r"\lVert x \rVert - 1", 0)],
)
def test_a_sign_stays_at_its_number(tex, signs):
    assert to_mathml(tex).count('form="prefix">−') == signs


def test_what_has_limits_lets_the_browser_choose_their_place():
    for tex in (r"\max_i h_i", r"\frac{1}{\sum_i h_i}"):
        assert re.search('<munder><mo[^>]* movablelimits="true"', to_mathml(tex, display=True))


def test_brackets_of_a_given_size_grow_with_what_stands_in_them():
    said = to_mathml(r"\Big\lVert \sum_i z_i \Big\rVert^2 + \bigl( x \bigr)")
    assert re.findall('form="(pre|post)fix"[^>]*>(.)', said) == [
        ("pre", "‖"),
        ("post", "‖"),
        ("pre", "("),
        ("post", ")"),
    ]


def test_colours_are_left_to_the_style_sheet_of_the_page():
    styled = 'style="color: var(--tex-0072b2, #0072b2)"'
    for tex in (r"\textcolor{#0072b2}{z} + 1", r"{\color{#0072b2} z} + 1"):
        coloured = to_mathml(tex)
        assert coloured.count(styled) == 1
        assert coloured.index(styled) < coloured.index("<mi>z</mi>") < coloured.index("<mo>+</mo>")
    dark = re.search(r'data-theme="dark".*?}', page._read("themes.css"), re.DOTALL).group()
    known = re.findall("--tex-([0-9a-f]{6}):", dark)
    assert "0072b2" in known and len(known) == len(set(known))


@pytest.mark.parametrize("tex", [r"\nosuchthing x", r"\frac{1}", r"\textcolor{url(x)}{z}", "{"])
def test_what_is_no_formula_is_an_error_that_quotes_it(tex):
    with pytest.raises(ValueError) as caught:
        to_mathml(tex)
    assert repr(tex) in str(caught.value)


# ---- text


@pytest.fixture
def reader(tmp_path):
    return Reader(tmp_path, {"02_next.ipynb": "02_next.html"}.get)


def test_formulas_are_taken_out_before_markdown_is_read(reader):
    said = reader.read(
        "A $a_1 * b_2 * c$ and\n\n| norm | code |\n| --- | --- |\n| $\\|z\\|$ | `$x$` |"
    )
    assert said.count("<math") == 2 and "<em>" not in said
    assert "<code>$x$</code>" in said and "<table>" in said


def test_dollars_may_be_escaped_and_stand_in_code(reader):
    assert reader.read(r"costs \$5 or \$6") == "<p>costs $5 or $6</p>\n"
    assert "<math" not in reader.read("```\n$x$ and $y$\n```")
    assert 'display="block"' in reader.read("so\n\n$$x^2$$")


def test_raw_html_passes_through(reader):
    said = reader.read("<details><summary>Hint</summary>Think of $x$.</details><br>\n\n**next**")
    assert "<details><summary>Hint</summary>" in said and "<math" in said
    assert "<strong>next</strong>" in said


def test_links_lead_to_pages_of_the_site_alone(reader):
    said = reader.read("[a](02_next.ipynb#x) [b](03_gone.ipynb) [c](https://example.org) [d](#e)")
    assert re.findall('href="([^"]*)"', said) == ["02_next.html#x", "https://example.org", "#e"]
    assert " b " in said


def test_pictures_go_into_the_page(reader, tmp_path):
    (tmp_path / "dot.png").write_bytes(b"PNG")
    assert 'src="data:image/png;base64,UE5H" alt="a dot"' in reader.read("![a dot](dot.png)")
    carried = reader.read("![it](attachment:a.png)", {"a.png": {"image/png": "iVBORw=="}})
    assert 'src="data:image/png;base64,iVBORw=="' in carried
    for missing in ("no.png", "https://example.org/a.png"):
        with pytest.raises(ValueError, match=missing):
            reader.read(f"![x]({missing})")


def test_headings_are_collected_with_the_ids_that_jupyterlab_gives(reader):
    reader.read("# One $x$\n\n## Two *words*\n\n### Three")
    assert reader.headings == [
        (1, "One", "One"),
        (2, "Two-words", "Two words"),
        (3, "Three", "Three"),
    ]


def test_formulas_of_an_html_output_are_converted_but_not_those_in_code():
    said = typeset('<p title="$a$">is $x &lt; y$</p><code>$z$</code>')
    assert said.count("<math") == 1 and "<mo>&lt;</mo>" in said
    assert '<p title="$a$">' in said and "<code>$z$</code>" in said


def test_a_title_is_escaped():
    assert plain("1 · A <script> & *b*") == "1 · A &lt;script&gt; &amp; b"


# ---- outputs

NOTHING = Executed(Path(), new_notebook(), {}, {}, {})


def shown(reader, **output):
    output.setdefault("output_type", "display_data")
    return render_output(output, reader, Models(NOTHING))


def test_printed_text_is_escaped_and_ends_as_in_a_terminal(reader):
    said = shown(reader, output_type="stream", name="stdout", text="\x1b[31mred\x1b[0m <b>\n1\r2\n")
    assert said == '<pre class="stream stdout">red &lt;b&gt;\n2</pre>'
    bar = "100%|██████| 31/31 [00:03<00:00, 9.1it/s]\n"
    assert shown(reader, output_type="stream", name="stderr", text=bar) == ""


def test_of_several_forms_the_richest_is_shown(reader):
    figure = {
        "data": [{"y": [1]}],
        "layout": {"height": 321, "meta": {"description": "A &lt;b&gt;"}},
    }
    data = {"text/plain": "Figure", "text/html": "<p>html</p>", PLOTLY: figure}
    said = shown(reader, data=data)
    assert "height:321px" in said and "<figcaption>A &lt;b&gt;</figcaption>" in said
    assert "html" not in said
    assert json.loads(re.search(">({.*})</script>", said)[1])["data"] == figure["data"]
    assert (
        shown(reader, data={"text/plain": "1 < 2"}) == '<pre class="stream stdout">1 &lt; 2</pre>'
    )
    picture = shown(reader, data={"text/plain": "<Figure>", "image/png": "iVBO\nRw==\n"})
    assert 'src="data:image/png;base64,iVBORw=="' in picture and 'alt="Picture' in picture


def test_data_cannot_end_their_script():
    value = {"a": "</script><!-- \u2028"}
    written = data_script(value, kind="models")
    assert written.count("<") == 2
    assert json.loads(written[written.index(">") + 1 : -len("</script>")]) == value


def test_a_seal_is_undone_by_inflating():
    sealed = sealed_script("The answer is TWELVE.", kind="seal")
    assert "TWELVE" not in sealed
    text = re.search(">(.*)<", sealed)[1]
    assert zlib.decompress(base64.b64decode(text)) == b"The answer is TWELVE."


# ---- cells and models


def view(model):
    return nbformat.v4.new_output("display_data", {WIDGET: {"model_id": model}})


def widget(**state):
    return {"_model_name": "AnyModel", "_esm": "export default {}", "_css": "", **state}


def program(source, *models, tags=()):
    cell = new_code_cell(source, outputs=[view(model) for model in models])
    cell.metadata["tags"] = list(tags)
    return cell


def body(cells, states, offline=None, predictions=None, path=None):
    executed = Executed(path, new_notebook(cells=cells), states, offline or {}, predictions or {})
    return render_cells(executed, Reader(path), Models(executed))


def records(html):
    return [json.loads(text) for text in re.findall('class="models">(.*?)</script>', html)]


def test_what_waits_for_a_prediction_is_sealed_with_all_that_only_it_shows(tmp_path):
    states = {name: widget(of=name) for name in ("guess", "open", "secret")}
    cells = [
        program("guess", "guess"),
        program("open", "open"),
        new_markdown_cell("## TWELVE", metadata={"tags": ["after:g"]}),
        program("more", "open", "secret", tags=["after:g"]),
        new_markdown_cell("free"),
    ]
    html = body(cells, states, predictions={"g": "guess"}, path=tmp_path)
    assert html.count("Commit your prediction") == 1
    assert "TWELVE" not in html and "secret" not in html and "free" in html
    assert 'data-after="w1"' in html
    given = records(html)[0]
    assert {name: record["state"]["of"] for name, record in given.items()} == {
        "w1": "guess",
        "w2": "open",
    }
    inside = zlib.decompress(base64.b64decode(re.search('class="seal">(.*?)<', html)[1])).decode()
    assert "TWELVE" in inside
    assert [record["state"]["of"] for record in records(inside)[0].values()] == ["secret"]


def test_a_prediction_that_nothing_shows_cannot_be_waited_for(tmp_path):
    cells = [new_markdown_cell("x", metadata={"tags": ["after:g"]})]
    with pytest.raises(ValueError, match="the prediction 'g'"):
        body(cells, {"guess": widget()}, predictions={"g": "guess"}, path=tmp_path)


def test_models_bring_their_children_and_share_their_javascript(tmp_path):
    states = {
        "box": {"_model_name": "VBoxModel", "children": ["IPY_MODEL_a", "IPY_MODEL_b"]},
        "a": widget(peer="IPY_MODEL_b"),
        "b": widget(),
        "layout": {"_model_name": "LayoutModel"},
        "link": {
            "_model_name": "LinkModel",
            "source": ["IPY_MODEL_a", "x"],
            "target": ["IPY_MODEL_b", "y"],
        },
    }
    models = Models(Executed(tmp_path, new_notebook(), states, {}, {}))
    given = models.take(["box"])
    assert list(given) == ["w1", "w2", "w3"]
    assert given["w1"] == {"kind": "box", "way": "column", "children": ["w2", "w3"]}
    assert given["w2"]["state"] == {"peer": "IPY_MODEL_w3"}
    assert given["w2"]["esm"] == given["w3"]["esm"] and len(models.modules) == 1
    assert models.links() == [{"source": ["w2", "x"], "target": ["w3", "y"], "both": True}]
    assert models.take(["a"]) == {}


def test_progress_bars_leave_nothing_behind(tmp_path):
    states = {
        "box": {"_model_name": "HBoxModel", "children": ["IPY_MODEL_bar"]},
        "bar": {"_model_name": "FloatProgressModel"},
    }
    assert "widget" not in body([program("x", "box")], states, path=tmp_path)


def test_a_bar_that_was_wiped_out_in_pieces_leaves_nothing_behind(tmp_path):
    cell = new_code_cell("work()")
    pieces = ["\rattacking…   33 %", "\rattacking…   67 %", "\r                 ", "\r"]
    cell.outputs = [new_output("stream", name="stdout", text=piece) for piece in pieces]
    assert "attacking" not in body([cell], {}, path=tmp_path)
    cell.outputs.append(new_output("stream", name="stdout", text="done\n"))
    assert ">done<" in body([cell], {}, path=tmp_path)
    # what stands on another stream is wiped out by nothing
    cell.outputs.insert(1, new_output("stream", name="stderr", text="careful\n"))
    html = body([cell], {}, path=tmp_path)
    assert "careful" in html and "33 %" in html


def test_long_code_is_folded_and_what_the_reader_writes_is_not(tmp_path):
    html = body([new_code_cell("a = 1\n" * 5)], {}, path=tmp_path)
    assert "<summary>Code, 5 lines</summary>" in html
    html = body([new_code_cell("def f():\n    ...\n\n\nf()")], {}, path=tmp_path)
    assert "<details" not in html


# ---- pages and sites


def make_lesson(folder, name="01_tiny.ipynb", cells=(), title="1 · Tiny & <b>bold</b>"):
    head = f"# {title}\n\n**You will see\n$x$.**\n\nTime: 5 minutes; the computer\nneeds 2 seconds."
    path = folder / name
    nbformat.write(new_notebook(cells=[new_markdown_cell(head), *cells]), path)
    return read_lesson(path)


def unrun(path, **kwargs):
    """Stands in for `execute` where no kernel is needed."""
    return Executed(path, lessons.read_notebook(path), {}, {}, {})


class Outline(HTMLParser):
    """Tags of a page in their order, and whether each one that opens closes."""

    VOID = ("meta", "br", "img", "input", "link", "hr", "mspace")

    def __init__(self, html):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_a_lesson_says_its_title_promise_and_time(tmp_path):
    lesson = make_lesson(tmp_path, cells=[new_markdown_cell("## The next cell")])
    assert (lesson.promise, lesson.page) == ("You will see $x$.", "01_tiny.html")
    assert lesson.time == "5 minutes; the computer needs 2 seconds."


def test_a_site_lists_its_lessons_and_joins_them(tmp_path):
    made = [make_lesson(tmp_path, f"0{n}_tiny.ipynb", title=f"{n} · T") for n in (1, 2, 3)]
    paths = write_site(made, tmp_path / "site", run=unrun)
    assert [path.name for path in paths] == ["index.html", *(lesson.page for lesson in made)]
    text = {path.name: path.read_text(encoding="utf-8") for path in paths}
    for html in text.values():
        outline = Outline(html)
        assert outline.open == []
        landmarks = [tag for tag, _ in outline.tags if tag in ("main", "header", "footer", "h1")]
        assert landmarks == ["header", "main", "h1", "footer"]
        assert ("html", {"lang": "en", "data-theme": "light"}) in outline.tags
        assert not re.search(r'(?:src|href)="(?:https?:)?//', html)
    links = [
        attributes["href"] for tag, attributes in Outline(text["02_tiny.html"]).tags if tag == "a"
    ]
    assert links.count("01_tiny.html") == links.count("03_tiny.html") == 2
    assert "index.html" in links
    listed = [
        attributes["href"] for tag, attributes in Outline(text["index.html"]).tags if tag == "a"
    ]
    assert listed[-3:] == [lesson.page for lesson in made]
    assert text["index.html"].count("You will see <math") == 3
    assert not list((tmp_path / "site").glob("*.part"))


def test_the_same_notebook_gives_the_same_page(tmp_path):
    lesson = make_lesson(tmp_path)
    first, second = (
        write_site([lesson], tmp_path / name, index=False, run=unrun)[0].read_bytes()
        for name in "ab"
    )
    assert first == second


def test_a_title_cannot_break_the_page(tmp_path):
    (path,) = write_site([make_lesson(tmp_path)], tmp_path, index=False, run=unrun)
    html = path.read_text(encoding="utf-8")
    assert "<title>1 · Tiny &amp; bold</title>" in html or "&lt;b&gt;bold" in html


def test_a_page_that_is_too_large_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "MOST_BYTES", 10_000)
    with pytest.raises(ValueError, match=r"01_tiny\.ipynb would have .* MB"):
        write_site([make_lesson(tmp_path)], tmp_path / "site", index=False, run=unrun)
    assert list((tmp_path / "site").iterdir()) == []


def test_resuming_makes_only_pages_whose_notebook_has_changed(tmp_path):
    made, ran = [make_lesson(tmp_path, f"0{n}_a.ipynb") for n in (1, 2)], []

    def run(path, **kwargs):
        ran.append(path.name)
        return unrun(path)

    write_site(made, tmp_path / "site", run=run)
    changed = make_lesson(tmp_path, "02_a.ipynb", title="2 · Changed")
    write_site([made[0], changed], tmp_path / "site", run=run, resume=True)
    assert ran == ["01_a.ipynb", "02_a.ipynb", "02_a.ipynb"]
    write_site([made[0]], tmp_path / "site", run=run)
    assert ran[3:] == ["01_a.ipynb"]


def test_a_failure_keeps_the_pages_before_it(tmp_path):
    made = [make_lesson(tmp_path, f"0{n}_a.ipynb") for n in (1, 2)]

    def run(path, **kwargs):
        if path.name.startswith("02"):
            raise ValueError("02_a.ipynb, cell x: NameError: y")
        return unrun(path)

    with pytest.raises(ValueError, match="NameError"):
        write_site(made, tmp_path / "site", run=run)
    assert {path.name for path in (tmp_path / "site").iterdir()} == {"index.html", "01_a.html"}


def test_lessons_are_found_by_path_name_and_number(tmp_path, monkeypatch):
    made = [make_lesson(tmp_path, name) for name in ("01_a.ipynb", "12_b.ipynb", "own.ipynb")]
    monkeypatch.setattr(lessons, "NOTEBOOKS", tmp_path)
    assert lessons.course() == made
    assert find_lesson("12_b") == find_lesson("12") == find_lesson(str(made[1].path)) == made[1]
    assert find_lesson("1") == made[0] and find_lesson("own") == made[2]
    for wrong in ("3", "c", str(tmp_path / "no.ipynb")):
        with pytest.raises(ValueError):
            find_lesson(wrong)
    (tmp_path / "bad.ipynb").write_text("{")
    with pytest.raises(ValueError, match="bad.ipynb"):
        find_lesson(str(tmp_path / "bad.ipynb"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no_such_lesson", "--out", "site"], "got 'no_such_lesson'"),
        (["gone.ipynb", "--out", "site"], "There is no notebook gone.ipynb."),
        (["1", "--out", "site", "--seconds", "0"], "`--seconds` must be at least 1"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(run, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    status, out, error = run("export", *words)
    assert status == 2 and out == ""
    assert error.startswith("mmc-viz export: ") and said in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# ---- a notebook from kernel to browser

BAR = """
export default {
  render({ model, el }) {
    const slider = Object.assign(document.createElement("input"), { type: "range", max: 10 });
    slider.setAttribute("aria-label", "value");
    const canvas = Object.assign(document.createElement("canvas"), { width: 100, height: 20 });
    const draw = () => {
      slider.value = model.get("value");
      canvas.getContext("2d").clearRect(0, 0, 100, 20);
      canvas.getContext("2d").fillRect(0, 0, 10 * model.get("value"), 20);
      el.dataset.bytes = new Uint8Array(model.get("data").buffer).join();
      el.dataset.locked = model.get("locked");
    };
    slider.oninput = () => { model.set("value", Number(slider.value)); model.save_changes(); };
    model.on("change:value change:data change:locked", draw);
    el.append(slider, canvas);
    draw();
  },
};
"""
ASK = """
export default {
  render({ model, el }) {
    const button = Object.assign(document.createElement("button"), { textContent: "Commit" });
    button.onclick = () => { model.set("committed", true); model.save_changes(); };
    model.on("change:answer", () => { el.dataset.answer = model.get("answer"); });
    el.append(button);
  },
};
"""
DEFINE = f"""
import anywidget, ipywidgets, traitlets
import mmc_viz.widgets.base as base

class Bar(base.LabWidget):
    _esm = {BAR!r}
    _css = "canvas {{ border: 1px solid }}"
    value = traitlets.Int(3).tag(sync=True)
    data = traitlets.Bytes(b"").tag(sync=True)

class Ask(base.LabWidget):
    _esm = {ASK!r}
    committed = traitlets.Bool(False).tag(sync=True)
    answer = traitlets.Unicode().tag(sync=True)
    def offline(self):
        return {{"sealed": base.seal({{"answer": "-".join("TWELVE")}}), "after": self.model_id}}
"""
CELLS = [
    new_code_cell(DEFINE),
    new_code_cell(
        "a, b = Bar(data=bytes([1, 2])), Bar()\n"
        "ipywidgets.VBox([a, b, ipywidgets.HTML('<i>x</i>')])"
    ),
    new_code_cell(
        "link = ipywidgets.jslink((a, 'value'), (b, 'value'))\na.data = bytes([7, 8, 9])"
    ),
    new_code_cell("guess = Ask()\nguess"),
    new_code_cell("late = Bar(after=guess)\nlate._deliver(data=b'TW')\nlate"),
    new_markdown_cell("## It is TWELVE", metadata={"tags": ["after:guess"]}),
    new_code_cell(
        "import plotly.graph_objects as go\n"
        "go.Figure(go.Bar(y=[1, 2]), go.Layout(height=300, meta={'description': 'Two bars.'}))"
    ),
    new_code_cell("import os\nprint(sorted(os.listdir()), '</script>')"),
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The tiny lesson, executed, and its page."""
    folder = tmp_path_factory.mktemp("tiny")
    kept = []

    def run(path, **kwargs):
        kept.append(execute(path, **kwargs | {"shipped_only": True}))
        return kept[0]

    lesson = make_lesson(folder, cells=CELLS)
    (path,) = write_site([lesson], folder / "site", index=False, run=run)
    return kept[0], path


def test_a_notebook_runs_with_the_state_of_its_widgets(tiny):
    executed, _ = tiny
    bars = [state for state in executed.states.values() if "data" in state]
    assert [base64.b64decode(state["data"]["bytes"]) for state in bars] == [
        b"\x07\x08\x09",
        b"",
        b"",
    ]
    assert set(executed.predictions) == {"guess"}
    assert executed.notebook.cells[-1].outputs[0].text == "[] </script>\n"
    assert "widgets" not in executed.notebook.metadata
    guess = executed.predictions["guess"]
    assert {state["after"] for state in executed.offline.values() if state} == {guess}
    assert len(executed.notebook.cells) == 1 + len(CELLS)


def test_a_failing_cell_is_one_line(tmp_path):
    lesson = make_lesson(tmp_path, cells=[new_code_cell("x = 1\nx / 0", id="it")])
    with pytest.raises(ValueError) as caught:
        execute(lesson.path)
    assert str(caught.value) == "01_tiny.ipynb, cell it: ZeroDivisionError: division by zero"


def test_a_cell_that_takes_too_long_is_named(tmp_path):
    lesson = make_lesson(tmp_path, cells=[new_code_cell("import time; time.sleep(60)", id="it")])
    with pytest.raises(ValueError, match="01_tiny.ipynb, cell it did not end within 1 seconds"):
        execute(lesson.path, seconds=1)


def test_a_prediction_that_does_not_exist_is_named(tmp_path):
    cell = new_markdown_cell("x", metadata={"tags": ["after:guess"]})
    with pytest.raises(ValueError, match="waits for 'guess'"):
        execute(make_lesson(tmp_path, cells=[cell]).path)


@pytest.mark.browser
def test_the_page_moves_without_network_or_kernel(chromium, tiny):
    _, path = tiny
    source = path.read_text(encoding="utf-8")
    assert "It is TWELVE" not in source and "T-W-E-L-V-E" not in source
    with visit() as reader:
        web, asked = reader.page, []
        web.context.set_offline(True)
        web.on("request", lambda request: asked.append(request.url.split(":")[0]))
        web.goto(path.as_uri())
        web.wait_for_selector("html[data-ready=true]")

        # two views, linked: what one sets, the other shows
        bars = web.locator(".box > div")
        assert bars.count() == 3 and bars.nth(2).inner_text() == "x"
        assert bars.nth(0).get_attribute("data-bytes") == "7,8,9"
        before = [canvas.evaluate("c => c.toDataURL()") for canvas in web.locator("canvas").all()]
        bars.nth(0).locator("input").press("ArrowRight")
        assert bars.nth(1).locator("input").input_value() == "4"
        after = [canvas.evaluate("c => c.toDataURL()") for canvas in web.locator("canvas").all()]
        assert before[0] != after[0] == after[1]

        # what waits for the prediction
        late = web.locator(".widget").nth(2)
        assert late.get_attribute("data-locked") == "true"
        assert late.get_attribute("data-bytes") == ""
        assert "is TWELVE" not in web.locator("main").inner_text()
        assert web.locator("h2").count() == 0
        web.get_by_text("Commit", exact=True).click()
        web.wait_for_selector("h2")
        assert web.locator("h2").inner_text() == "It is TWELVE"
        web.wait_for_selector(".widget[data-answer=T-W-E-L-V-E]")
        web.wait_for_selector(".widget[data-locked=false][data-bytes='84,87']")
        assert web.locator("#news").inner_text() == "The next part is open."

        # theme and figure
        web.locator("figure").scroll_into_view_if_needed()
        for theme in ("light", "dark"):
            if web.evaluate("document.documentElement.dataset.theme") != theme:
                web.click("#theme")
            web.wait_for_selector(f"figure[data-drawn={theme}] .bars path")
        assert web.locator("figcaption").inner_text() == "Two bars."

        # code
        assert web.locator("details.fold[open]").count() == 0
        web.click("#code")
        assert web.locator("details.fold[open]").count() == web.locator("details.fold").count() > 0
        assert reader.errors == []
        assert set(asked) <= {"file", "blob"}
