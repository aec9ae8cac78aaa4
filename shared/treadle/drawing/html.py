"""One page that shows a workflow or a run: graph, timeline and steps. Self-contained: no request leaves it, and its content
security policy allows none; it reads the same without its small script (which only zooms and pans the graph).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from .graph import Definition, Node, read
from .style import PAGE_STYLE
from .svg import escaped, graph_svg
from .view import Span, View, duration, lasted, spans

MAX_ROWS = 2000  # of the timeline and of the table: a page of a run with a million iterations has to open, too
MAX_JSON = 20_000  # characters of one value

_SCRIPT = """
(() => {
  const canvas = document.querySelector('.canvas'), svg = canvas.querySelector('svg'), tools = document.querySelector('.tools');
  const full = svg.viewBox.baseVal, width = full.width, height = full.height;
  let scale = 1;
  const zoom = (wanted, x, y) => {
    const next = Math.min(4, Math.max(0.02, wanted)), box = canvas.getBoundingClientRect();
    x = x === undefined ? box.width / 2 : x - box.left; y = y === undefined ? box.height / 2 : y - box.top;
    const left = (canvas.scrollLeft + x) / scale, top = (canvas.scrollTop + y) / scale;
    scale = next;
    svg.setAttribute('width', width * scale); svg.setAttribute('height', height * scale);
    canvas.scrollLeft = left * scale - x; canvas.scrollTop = top * scale - y;
  };
  const fit = () => zoom(Math.min(1, (canvas.clientWidth - 2) / width, window.innerHeight * 0.75 / height));
  const does = {in: () => zoom(scale * 1.3), out: () => zoom(scale / 1.3), fit: fit, full: () => zoom(1)};
  tools.hidden = false;
  canvas.classList.add('live');
  tools.addEventListener('click', event => { const act = does[event.target.dataset.does]; if (act) act(); });
  canvas.addEventListener('wheel', event => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(scale * Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
  }, {passive: false});
  let held = null;
  canvas.addEventListener('pointerdown', event => {
    held = {x: event.clientX, y: event.clientY, left: canvas.scrollLeft, top: canvas.scrollTop};
    canvas.setPointerCapture(event.pointerId); canvas.classList.add('held');
  });
  canvas.addEventListener('pointermove', event => {
    if (held) { canvas.scrollLeft = held.left + held.x - event.clientX; canvas.scrollTop = held.top + held.y - event.clientY; }
  });
  const drop = () => { held = null; canvas.classList.remove('held'); };
  canvas.addEventListener('pointerup', drop); canvas.addEventListener('pointercancel', drop);
  canvas.addEventListener('keydown', event => {
    const act = {'+': does.in, '=': does.in, '-': does.out, '0': fit, '1': does.full}[event.key];
    if (act && !event.ctrlKey && !event.metaKey) act();
  });
  if (width > canvas.clientWidth) zoom(Math.max(0.6, Math.min(1, (canvas.clientWidth - 2) / width)));
  const first = svg.querySelector('.step').getBoundingClientRect(), box = canvas.getBoundingClientRect();
  canvas.scrollLeft += first.left + first.width / 2 - box.left - canvas.clientWidth / 2;
  canvas.scrollTop += first.top + first.height / 2 - box.top - canvas.clientHeight / 2;
})();
"""


def html(definition: Definition, view: View | None = None) -> str:
    """The page of a workflow; with a view, of one of its runs."""
    name = escaped(definition.get("name") or definition.get("id") or "workflow")
    script_hash = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script_hash}'; base-uri 'none'; form-action 'none'"
    title = f"{name}: {escaped(view.get('status', 'run'))}" if view else name
    lines = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{title}</title>\n<style>{PAGE_STYLE}</style>\n</head>\n<body>\n<main>",
        *(_run_header(definition, view, name) if view else _workflow_header(definition, name)),
        *_graph(definition, view),
        *(_timeline(view) if view else ()),
        *(_run_table(definition, view) if view else _workflow_table(definition)),
        f"</main>\n<script>{_SCRIPT}</script>\n</body>\n</html>",
    ]
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------------ the top


def _workflow_header(definition: Definition, name: str) -> Iterator[str]:
    steps = list(read(definition).walk())
    yield f'<h1>{name}</h1>\n<p class="sub">{escaped(definition.get("id", ""))} {escaped(definition.get("version", ""))}</p>'
    handling = definition.get("errorHandling")
    on_failure = handling.get("onFailure", "stop") if isinstance(handling, Mapping) else "stop"
    yield from _facts({"Steps": len(steps), "On failure": on_failure, "Timeout": definition.get("timeout", "none")})


def _run_header(definition: Definition, view: View, name: str) -> Iterator[str]:
    status = str(view.get("status", ""))
    yield f"<h1>{name} {_pill(status)}</h1>"
    yield f'<p class="sub">Run {escaped(view.get("id", ""))} of {escaped(view.get("workflow", ""))} {escaped(view.get("version", ""))}</p>'
    error = view.get("error")
    if isinstance(error, Mapping):
        where = f" in {escaped(error['step'])}" if error.get("step") else ""
        yield f'<p class="problem"><strong>{escaped(error.get("name", "failed"))}</strong>{where}: {escaped(error.get("message", ""))}</p>'
    facts = {
        "Started": view.get("startedAt"),
        "Ended": view.get("endedAt"),
        "Duration": lasted(view.get("startedAt"), view.get("endedAt")),
        "Steps": _counted(view),
        "Compensated": _compensated(view.get("compensated")),
        **_cost(view.get("cost")),
        **{str(key): value for key, value in (view.get("attributes") or {}).items()},
    }
    yield from _facts(facts)
    yield from (_value(label, view[key]) for label, key in (("Input", "input"), ("Output", "output")) if view.get(key) is not None)


def _compensated(value: Any) -> str:
    return "" if value is None else "yes" if value else "in part"


def _counted(view: View) -> str:
    steps = list((view.get("steps") or {}).values())
    done = sum(step.get("status") in ("succeeded", "skipped") for step in steps)
    return f"{done} of {len(steps)} done" if steps else ""


def _cost(cost: Any) -> dict[str, str]:
    if not isinstance(cost, Mapping):
        return {}
    usd, calls = cost.get("usd"), cost.get("calls")
    shown = {"Cost": f"${usd:.7f}".rstrip("0").rstrip(".")} if isinstance(usd, int | float) else {}
    if isinstance(calls, Mapping) and calls:
        shown["AWS calls"] = str(sum(calls.values()))
    return shown


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    yield '<dl class="facts">'
    for name, value in facts.items():
        if value not in (None, ""):
            yield f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>"
    yield "</dl>"


def _pill(status: str) -> str:
    return f'<span class="pill {escaped(status)}">{escaped(status)}</span>'


def _value(label: str, value: Any) -> str:
    """Any JSON, folded away."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    if len(text) > MAX_JSON:
        text = f"{text[:MAX_JSON]}\n… ({len(text)} characters in all)"
    clean = "\n".join(escaped(line) for line in text.split("\n"))
    return f"<details><summary>{escaped(label)}</summary><pre>{clean}</pre></details>"


# ------------------------------------------------------------------------------------------------ the graph


def _graph(definition: Definition, view: View | None) -> Iterator[str]:
    yield '<h2 id="graph">Graph</h2>\n<div class="tools" hidden>'
    for act, label, help_ in (("in", "+", "Zoom in"), ("out", "−", "Zoom out"), ("fit", "Fit", "Show all"), ("full", "100 %", "Full size")):
        yield f'<button type="button" data-does="{act}" aria-label="{help_}" title="{help_}">{label}</button>'
    yield '</div>\n<div class="canvas" tabindex="0" role="group" aria-labelledby="graph">'
    yield graph_svg(definition, view)
    yield "</div>"


# ------------------------------------------------------------------------------------------------ the timeline


def _timeline(view: View) -> Iterator[str]:
    found = spans(view)
    if not found:
        return
    total = max(span.end_s for span in found) or 1.0
    ticks = list(_ticks(total))
    yield "<h2>Timeline</h2>"
    yield from _cut(len(found))
    yield '<div class="gantt"><span></span><div class="axis">'
    yield "".join(f'<span style="left:{100 * at / total:.3f}%">{duration(at) if at else "0"}</span>' for at in ticks)
    yield "</div><span></span>"
    lines = "".join(f'<i class="tick" style="left:{100 * at / total:.3f}%"></i>' for at in ticks if at)
    for span in found[:MAX_ROWS]:
        yield _bar(span, total, lines)
    yield "</div>"


def _bar(span: Span, total: float, lines: str) -> str:
    left, width = 100 * span.start_s / total, 100 * (span.end_s - span.start_s) / total
    took = duration(span.end_s - span.start_s) + (" so far" if span.is_open else "")
    attempts = f", {span.attempts} attempts" if span.attempts > 1 else ""
    what = escaped(f"{span.path}: {span.status}, {took}{attempts}, from {duration(span.start_s)}")
    open_ = " open" if span.is_open else ""
    times = f" ×{span.attempts}" if span.attempts > 1 else ""
    return (
        f'<span class="name" title="{escaped(span.path)}">{escaped(span.path)}</span><div class="track">{lines}'
        f'<div class="bar {escaped(span.status)}{open_}" style="left:min({left:.3f}%,100% - 3px);width:{width:.3f}%" title="{what}"'
        f' role="img" aria-label="{what}"></div></div><span class="lasted">{escaped(took)}{times}</span>'
    )


def _ticks(total: float) -> Iterator[float]:
    """Four to ten round times from 0 on."""
    units = (
        1e-3,
        2e-3,
        5e-3,
        0.01,
        0.02,
        0.05,
        0.1,
        0.2,
        0.5,
        1,
        2,
        5,
        10,
        15,
        30,
        60,
        120,
        300,
        600,
        1800,
        3600,
        7200,
        21600,
        43200,
        86400,
    )
    unit = next((unit for unit in units if total / unit <= 8), 86400.0 * max(1, round(total / 86400 / 6)))
    at = 0.0
    while at <= total * 0.985:
        yield round(at, 6)
        at += unit


def _cut(rows: int) -> Iterator[str]:
    if rows > MAX_ROWS:
        yield f'<p class="sub">The first {MAX_ROWS} of {rows}.</p>'


# ------------------------------------------------------------------------------------------------ the steps


def _run_table(definition: Definition, view: View) -> Iterator[str]:
    nodes = {node.path: node for node in read(definition).walk()}
    states: dict[str, Mapping[str, Any]] = dict(view.get("steps") or {})
    paths = [*states, *(path for path in nodes if path not in states and "[" not in path and not _is_iterated(path, nodes))]
    yield "<h2>Steps</h2>"
    yield from _cut(len(paths))
    yield _table_head("Step", "Status", "Attempts", "Started", "Duration", "Outcome")
    for path in paths[:MAX_ROWS]:
        yield _run_row(path, nodes.get(path), states.get(path, {}))
    yield "</tbody></table></div>"


def _table_head(*names: str) -> str:
    return f'<div class="scroll"><table><thead><tr>{"".join(f"<th>{name}</th>" for name in names)}</tr></thead><tbody>'


def _is_iterated(path: str, nodes: Mapping[str, Node]) -> bool:
    """Whether a loop is around it: then the view has it once for each iteration."""
    parts = path.split(".")
    around = (nodes.get(".".join(parts[:length])) for length in range(1, len(parts)))
    return any(node is not None and node.is_loop for node in around)


def _run_row(path: str, node: Node | None, step: Mapping[str, Any]) -> str:
    error = step.get("error")
    parts = []
    if step.get("why"):
        parts.append(f'<span class="why">{escaped(step["why"])}</span>')
    if isinstance(error, Mapping):
        parts.append(f'<div class="error">{escaped(error.get("name", ""))}: {escaped(error.get("message", ""))}</div>')
        if error.get("details") is not None:
            parts.append(_value("Details", error["details"]))
    parts += [_value(label, step[key]) for label, key in (("Input", "input"), ("Output", "output")) if step.get(key) is not None]
    about = f'<div class="why">{escaped(f"{node.action} {node.subject}".strip())}</div>' if node else ""
    return (
        f"<tr><td><code>{escaped(path)}</code>{about}</td><td>{_pill(str(step.get('status', 'pending')))}</td>"
        f'<td class="n">{escaped(step.get("attempts") or "")}</td><td class="n">{escaped(step.get("startedAt") or "")}</td>'
        f'<td class="n">{escaped(lasted(step.get("startedAt"), step.get("endedAt")))}</td><td>{"".join(parts)}</td></tr>'
    )


def _workflow_table(definition: Definition) -> Iterator[str]:
    yield "<h2>Steps</h2>"
    scope = read(definition)
    nodes = list(scope.walk())
    bodies = dict(_bodies(definition, ""))
    yield from _cut(len(nodes))
    yield _table_head("Step", "Does", "How", "Written as")
    for node in nodes[:MAX_ROWS]:
        yield (
            f"<tr><td><code>{escaped(node.path)}</code></td><td>{escaped(f'{node.action} {node.subject}'.strip())}</td>"
            f"<td>{'<br>'.join(map(escaped, node.marks))}</td><td>{_value('Definition', bodies[node.path])}</td></tr>"
        )
    yield "</tbody></table></div>"


def _bodies(container: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Each step as it is written, by its path; a group's steps have their own lines."""
    for step in container.get("steps", ()):
        if not isinstance(step, Mapping) or "id" not in step:
            continue
        path, group = f"{prefix}{step['id']}", step.get("group")
        if isinstance(group, Mapping):
            yield path, {**step, "group": {key: value for key, value in group.items() if key != "steps"}}
            yield from _bodies(group, f"{path}.")
        else:
            yield path, step
