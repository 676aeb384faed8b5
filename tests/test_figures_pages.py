"""Figures on their way out: the page, read back and in a browser, and pictures on disk."""

import html
import json
import re
import xml.etree.ElementTree
from functools import partial

import pytest
from PIL import Image

from mmc_viz import figures
from mmc_viz.browser import visit
from mmc_viz.figures import Exhibit, pages, style


def bars(theme="both", values=(1.0, 3.0)):
    import plotly.graph_objects as go

    figure = go.Figure(go.Bar(x=["</script>", "b"], y=list(values)))
    layout = style.layout(style.resolve(theme), title="TITLE of <b>bars</b>", height=200)
    figure.update_layout(layout, showlegend=False)
    return style.describe(figure, f"PLOTLY &lt;bars&gt; of {values[0]} and {values[1]}.")


EXHIBITS = [
    Exhibit("first", bars, note="made by <hand>"),
    Exhibit("second", partial(bars, values=(2.0, 5.0))),
]


def test_the_page_holds_both_themes_of_every_figure_unharmed(tmp_path):
    figures.write_page(EXHIBITS, tmp_path / "a.html", title="LINKS & <FIGURES>")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<title>LINKS &amp; &lt;FIGURES&gt;</title>" in text
    assert "<small>made by &lt;hand&gt;</small>" in text
    for exhibit in EXHIBITS:
        section = re.search(rf'<figure id="{exhibit.name}">.*?</figure>', text, re.DOTALL).group()
        assert html.escape(html.unescape(style.description(exhibit.draw("light")))) in section
        for theme in ("light", "dark"):
            data = re.search(rf'data-theme="{theme}">(.*?)</script>', section, re.DOTALL).group(1)
            assert json.loads(data) == json.loads(exhibit.draw(theme).to_json())


@pytest.mark.parametrize("exhibits", [[], [EXHIBITS[0], EXHIBITS[0]]])
def test_a_page_needs_figures_with_names_of_their_own(exhibits, tmp_path):
    with pytest.raises(ValueError, match="`exhibits` must be at least one, each with a name"):
        figures.write_page(exhibits, tmp_path / "a.html", title="")
    assert not (tmp_path / "a.html").exists()


@pytest.mark.browser
def test_in_a_browser_the_page_draws_changes_theme_and_saves(chromium, tmp_path):
    figures.write_page(EXHIBITS, tmp_path / "a.html", title="Figures")
    with visit(width=900) as seen:
        page = seen.page
        page.goto(f"file://{tmp_path}/a.html")
        page.wait_for_selector("#second[data-drawn=light] .plot .bars path")
        assert page.locator("#first .plot .bars .point path").count() == 2
        page.click("#theme")
        page.wait_for_selector("#second[data-drawn=dark]")
        ink = page.evaluate("document.querySelector('#first .plot')._fullLayout.font.color")
        assert ink == style.THEMES["dark"].text
        for kind in ("png", "svg"):
            with page.expect_download() as download:
                page.click(f"#second button[data-format={kind}]")
            assert download.value.suggested_filename == f"second.{kind}"
            download.value.save_as(tmp_path / f"second.{kind}")
        assert seen.errors == []
    with Image.open(tmp_path / "second.png") as picture:
        assert picture.getpixel((2, 2))[:3] == (0x11, 0x11, 0x11)
    assert xml.etree.ElementTree.parse(tmp_path / "second.svg").getroot().tag.endswith("svg")


@pytest.mark.browser
def test_a_figure_is_saved_as_png_and_svg_on_the_paper_of_its_theme(chromium, tmp_path):
    pytest.importorskip("kaleido")
    figures.save(bars("dark"), tmp_path / "a.png", width=500, scale=1)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (500, bars("dark").layout.height)
        assert picture.getpixel((2, 2))[:3] == (0x11, 0x11, 0x11)
    figures.save(bars("light"), tmp_path / "a.svg")
    assert xml.etree.ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")


def test_a_figure_is_saved_as_html(tmp_path):
    figures.save(bars(), tmp_path / "a.html")
    assert "Plotly.newPlot" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_what_cannot_be_saved_is_said(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"`path` must end in \.png, \.svg, \.html; got .*a\.pdf"):
        figures.save(bars(), tmp_path / "a.pdf")
    monkeypatch.setattr(pages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="need the extra `images`"):
        figures.save(bars(), tmp_path / "a.png")
