"""Colours and type. Light by default, dark where the reader's system is; all text keeps at least 4.5 : 1 contrast."""

from __future__ import annotations

_LIGHT = """--page:#fff;--card:#fff;--ink:#1f2328;--muted:#59636e;--line:#848d97;--edge:#d1d9e0;--group:#f6f8fa;
--succeeded:#1a7f37;--succeeded-bg:#dafbe1;--failed:#cf222e;--failed-bg:#ffebe9;--running:#0969da;--running-bg:#ddf4ff;
--waiting:#7d4e00;--waiting-bg:#fff8c5;--queued:#6639ba;--queued-bg:#fbefff;--cancelled:#953800;--cancelled-bg:#fff1e5;
--skipped:#59636e;--skipped-bg:#f6f8fa;--pending:#59636e;--pending-bg:#fff;--choice:#6639ba;--catch:#bc4c00"""
_DARK = """--page:#0d1117;--card:#161b22;--ink:#f0f6fc;--muted:#9198a1;--line:#7d8590;--edge:#3d444d;--group:#12171e;
--succeeded:#4cc963;--succeeded-bg:#12261e;--failed:#ff7b72;--failed-bg:#2f1719;--running:#58a6ff;--running-bg:#121d2f;
--waiting:#e3b341;--waiting-bg:#2a2111;--queued:#c297ff;--queued-bg:#211a35;--cancelled:#f0883e;--cancelled-bg:#2b1c10;
--skipped:#9198a1;--skipped-bg:#12171e;--pending:#9198a1;--pending-bg:#161b22;--choice:#c297ff;--catch:#f0883e"""

_STATUSES = ("succeeded", "failed", "running", "waiting", "queued", "cancelled", "skipped", "pending")


def _themed(selector: str) -> str:
    return f"{selector}{{{_LIGHT}}}@media(prefers-color-scheme:dark){{{selector}{{{_DARK}}}}}".replace("\n", "")


GRAPH_RULES = (
    """
.treadle text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;fill:var(--ink)}
.treadle .id{font-size:14px;font-weight:600}
.treadle .about{font-size:11.5px;fill:var(--muted)}
.treadle .mark,.treadle .count{font-size:11px;fill:var(--muted)}
.treadle .card{fill:var(--card);stroke:var(--edge);stroke-width:1.5}
.treadle .group>.card{fill:var(--group)}
.treadle .icon,.treadle .sign{fill:none;stroke:var(--muted);stroke-width:1.5;stroke-linecap:round;stroke-linejoin:round}
.treadle .sign{stroke-width:2.2}
.treadle .wire{fill:none;stroke:var(--line);stroke-width:1.5}
.treadle .wire.choice{stroke:var(--choice);stroke-dasharray:6 4}
.treadle .wire.catch{stroke:var(--catch);stroke-dasharray:6 4}
.treadle .arrow{fill:var(--line)}.treadle .arrow.choice{fill:var(--choice)}.treadle .arrow.catch{fill:var(--catch)}
.treadle rect.label{fill:var(--page);stroke:var(--edge)}
.treadle text.label{font-size:10.5px;fill:var(--muted)}
.treadle .step.skipped>.card,.treadle .step.pending>.card{stroke-dasharray:4 3}
""".replace("\n", "")
    + "".join(
        f".treadle .step.{one}>.card{{stroke:var(--{one})}}.treadle .leaf.{one}>.card{{fill:var(--{one}-bg)}}"
        f".treadle .step.{one}>.sign,.treadle .step.{one}>.icon{{stroke:var(--{one})}}"
        for one in _STATUSES
    )
)

#: For a picture that stands alone.
GRAPH_STYLE = _themed(".treadle") + ".treadle{background:var(--page)}" + GRAPH_RULES

#: For a page that holds one.
PAGE_STYLE = (
    _themed(":root")
    + GRAPH_RULES
    + """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:1400px;margin:0 auto;padding:24px}
h1{font-size:24px;line-height:1.25;margin:0}
h2{font-size:17px;margin:32px 0 8px}
a{color:var(--running)}
code,pre{font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
pre{margin:4px 0 0;padding:8px 10px;max-height:320px;overflow:auto;background:var(--group);border:1px solid var(--edge);border-radius:6px;
white-space:pre-wrap;overflow-wrap:anywhere}
.sub{color:var(--muted);margin:4px 0 0}
.facts{display:flex;flex-wrap:wrap;gap:8px 32px;margin:16px 0 0;padding:0}
.facts div{min-width:90px}.facts dt{color:var(--muted);font-size:12px}.facts dd{margin:0;font-weight:600;overflow-wrap:anywhere}
.pill{display:inline-block;padding:1px 9px;border:1px solid var(--edge);border-radius:10px;
font-size:12px;font-weight:600;white-space:nowrap}
.problem{margin:16px 0 0;padding:10px 14px;border:1px solid var(--failed);border-radius:8px;background:var(--failed-bg)}
.problem strong{color:var(--failed)}
.canvas{position:relative;border:1px solid var(--edge);border-radius:10px;overflow:auto;max-height:76vh}
.canvas svg{display:block;margin:0 auto;max-width:none}
.canvas:focus-visible{outline:2px solid var(--running)}
.canvas.live{cursor:grab;touch-action:none}.canvas.held{cursor:grabbing}
.tools{display:flex;gap:6px;margin:0 0 8px}
.tools[hidden]{display:none}
button{font:inherit;color:var(--ink);background:var(--group);border:1px solid var(--edge);border-radius:6px;padding:3px 12px;cursor:pointer}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th{color:var(--muted);font-size:12px;font-weight:600;text-align:left;padding:6px 12px 6px 0;
border-bottom:1px solid var(--edge);white-space:nowrap}
td{padding:7px 12px 7px 0;border-bottom:1px solid var(--edge);vertical-align:top;overflow-wrap:anywhere}
td.n{white-space:nowrap;font-variant-numeric:tabular-nums}
td .why{color:var(--muted)}td .error{color:var(--failed)}
summary{cursor:pointer;color:var(--muted)}
.gantt{display:grid;grid-template-columns:minmax(90px,max-content) 1fr minmax(80px,max-content);gap:0 12px;align-items:center}
.gantt .name{max-width:300px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;line-height:24px}
.gantt .track{position:relative;height:24px;border-left:1px solid var(--edge);border-right:1px solid var(--edge)}
.gantt .tick{position:absolute;top:0;bottom:0;width:1px;background:var(--edge)}
.gantt .axis{position:relative;height:22px;color:var(--muted);font-size:12px}
.gantt .axis span{position:absolute;transform:translateX(-50%);white-space:nowrap}
.gantt .axis span:first-child{transform:none}
.gantt .bar{position:absolute;top:5px;height:14px;min-width:3px;border:1.5px solid var(--muted);border-radius:4px;background:var(--group)}
.gantt .bar.open{border-right-style:dashed;border-top-right-radius:0;border-bottom-right-radius:0}
.gantt .lasted{color:var(--muted);font-size:12px;white-space:nowrap;font-variant-numeric:tabular-nums}
@media print{.canvas{max-height:none;overflow:visible}.tools{display:none}}
""".replace("\n", "")
    + "".join(
        f".pill.{one},.gantt .bar.{one}{{color:var(--{one});border-color:var(--{one});background:var(--{one}-bg)}}" for one in _STATUSES
    )
    + ".pill.pending{border-style:dashed}"
    + ".pill.timedOut{color:var(--failed);border-color:var(--failed);background:var(--failed-bg)}"
    + ".pill.compensating,.pill.paused{color:var(--waiting);border-color:var(--waiting);background:var(--waiting-bg)}"
)
