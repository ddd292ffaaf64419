"""A verdict as text for a terminal and as a page fragment for a notebook: no script, light and dark, read aloud."""

from dataclasses import replace
from html import escape

import torch
from torch import Tensor

from dl780.check.verdict import OutputVerdict, Verdict

PICTURE = 24  # rows and columns at most
# Some are important since Jupyter sets its own tables to the right.
STYLE = """
.dl780{font:14px/1.5 system-ui,sans-serif;margin:.5em 0;color:inherit}
.dl780 table{border-collapse:collapse}
.dl780 table td,.dl780 table th{padding:.15em .7em .15em 0;text-align:left!important;vertical-align:top}
.dl780 tr,.dl780 td,.dl780 th,.dl780 code{background:none!important;color:inherit}
.dl780 code{font-family:ui-monospace,monospace}
.dl780 .shape,.dl780 .shape code{white-space:nowrap!important}
.dl780 .ok{color:#1a7f37}.dl780 .no{color:#c4320a}
.dl780 svg{color:inherit;vertical-align:top}
@media (prefers-color-scheme:dark){.dl780 .shape,.dl780 .shape code{white-space:nowrap!important}
.dl780 .ok{color:#4ac26b}.dl780 .no{color:#ff8f6b}}
"""


def text(verdict: Verdict) -> str:
    """The verdict as aligned lines."""
    lines = [f"{verdict.question:<52}{points(verdict.points, verdict.out_of)}"]
    told = _told(verdict)
    width, across = max(len(o.name) for o in told), max(len(o.shape) for o in told)
    lines += [f"  {o.name:<{width}}  {o.shape:<{across}}  {o.message.strip()}" for o in told]
    lines += [f"  note: {flag}" for flag in verdict.flags]
    if verdict.replay:
        lines.append(f"  {_again(verdict)}")
    return "\n".join(lines)


def html(verdict: Verdict) -> str:
    """The verdict as a fragment that stands alone, with its style."""
    return f"<style>{STYLE}</style>{fragment(verdict)}"


def fragment(verdict: Verdict) -> str:
    """The verdict as a fragment, for a page that has the style."""
    rows = "".join(_row(output) for output in _told(verdict))
    flags = "".join(f"<div>note: {escape(flag)}</div>" for flag in verdict.flags)
    again = f"<div><code>{escape(_again(verdict))}</code></div>" if verdict.replay else ""
    return (
        f'<div class="dl780"><strong><code>{escape(verdict.question)}</code></strong> '
        f"{points(verdict.points, verdict.out_of)}<table><tbody>{rows}</tbody></table>{flags}{again}</div>"
    )


def points(earned: float, out_of: float) -> str:
    """4 of 6 points."""
    return f"{earned:g} of {out_of:g} points"


def heat_map(got: Tensor, want: Tensor, title: str) -> str:
    """|got - want| entry by entry as an SVG: a matrix of squares, darker where the error is larger."""
    error = (got - want).abs().nan_to_num(torch.inf)
    matrix = error.reshape(-1, error.shape[-1]) if error.ndim else error.reshape(1, 1)
    rows, columns = matrix.shape
    if max(rows, columns) > PICTURE:
        size = (min(rows, PICTURE), min(columns, PICTURE))
        matrix = torch.nn.functional.adaptive_max_pool2d(matrix[None].clamp(max=1e300), size)[0]
    shade = (matrix / matrix.max().clamp(min=1e-300)).nan_to_num(1.0)
    cells = "".join(
        f'<rect x="{j * 12}" y="{i * 12}" width="11" height="11" fill="#c4320a" fill-opacity="{value:.2f}"/>'
        for i, line in enumerate(shade.tolist())
        for j, value in enumerate(line)
        if value >= 0.01
    )
    height, width = shade.shape[0] * 12, shade.shape[1] * 12
    where = f"{int((shade >= 0.01).sum())} of {shade.numel()} squares are off"
    label = escape(f"Error map of {title}, {rows} by {columns} entries: {where}.")
    return (
        f'<svg role="img" aria-label="{label}" width="{width}" height="{height}" viewBox="-1 -1 {width + 1} '
        f'{height + 1}"><title>{label}</title><rect x="-.5" y="-.5" width="{width}" height="{height}" fill="none" '
        f'stroke="currentColor" stroke-opacity=".5"/>{cells}</svg>'
    )


def display(verdict: Verdict) -> None:
    """Show a verdict: as a fragment in a notebook, as text elsewhere."""
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import display as show
    except ImportError:
        print(text(verdict))
        return
    if get_ipython() is None:
        print(text(verdict))
    else:
        show({"text/html": html(verdict), "text/plain": text(verdict)}, raw=True)  # type: ignore[no-untyped-call]


def _told(verdict: Verdict) -> list[OutputVerdict]:
    """The outputs, or one line for all of them where the same sentence is said of each."""
    first = verdict.outputs[0]
    if not first.ok and len({output.message for output in verdict.outputs}) == 1:
        return [replace(first, name="", shape="", pair=None)]
    return verdict.outputs


def _row(output: OutputVerdict) -> str:
    mark, word, kind = ("✓", "right", "ok") if output.ok else ("✗", "wrong", "no")
    picture = heat_map(*output.pair, output.name) if output.pair else ""
    return (
        f'<tr><td class="{kind}"><span role="img" aria-label="{word}">{mark}</span></td>'
        f"<th scope=row>{_code(output.name)}</th><td class=shape>{_code(output.shape)}</td>"
        f"<td>{escape(output.message)}</td><td>{picture}</td></tr>"
    )


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>" if text else ""


def _again(verdict: Verdict) -> str:
    case = next(output.case for output in verdict.outputs if output.case)
    return f"case {case} of {verdict.cases} · again: {verdict.replay}"
