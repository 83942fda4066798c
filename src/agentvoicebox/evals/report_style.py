"""The style of a report's page, for light and dark, with a contrast of at least 4.5 to 1. Nothing is loaded from elsewhere."""

STYLE = """
:root{color-scheme:light dark;--ink:#1c1e21;--faint:#5a6068;--grid:#d9dce1;--paper:#fff;--panel:#f4f5f7;--good:#00604f;
--bad:#a8001c;--now:#0072b2;--before:#80868e;--link:#00548a;--mark:#ffe08a;--on-mark:#1c1e21}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--faint:#a9b0b9;--grid:#3b4047;--paper:#14161a;--panel:#1e2126;
--good:#6fdcc4;--bad:#ff9a93;--now:#56b4e9;--before:#8b929b;--link:#8ac7f5;--mark:#6b5200;--on-mark:#fff}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,"Segoe UI","Helvetica Neue",Arial,sans-serif;margin:0;color:var(--ink);background:var(--paper)}
main{max-width:64rem;margin:0 auto;padding:1rem 1rem 4rem}
h1{font-size:1.7rem;margin:1rem 0 .2rem}h2{font-size:1.25rem;margin:2.5rem 0 .6rem}h3{font-size:1.05rem;margin:0 0 .4rem}
a{color:var(--link)}
.faint{color:var(--faint)}.bad{color:var(--bad);font-weight:600}.good{color:var(--good)}.none{color:var(--faint)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{padding:.25rem .6rem;text-align:left;border-bottom:1px solid var(--grid);vertical-align:top;font-weight:400}
thead th{color:var(--faint);white-space:nowrap}
.wide{overflow-x:auto}
figure{margin:1.6rem 0}figcaption{font-weight:600;margin-bottom:.2rem}figure p{margin:.2rem 0}
.plot{overflow-x:auto}.plot svg{width:100%;min-width:38rem;max-width:60rem;height:auto;display:block}
details{margin:.4rem 0}summary{cursor:pointer;color:var(--link)}
.call{background:var(--panel);border:1px solid var(--grid);border-radius:8px;padding:1rem;margin:1rem 0}
.call h3 a{color:inherit}
.talk{list-style:none;padding:0;margin:.8rem 0}
.talk li{display:grid;grid-template-columns:4.5rem 4.5rem 1fr;gap:.2rem .6rem;padding:.25rem 0}
.talk li{border-bottom:1px solid var(--grid)}
.talk .words{overflow-wrap:anywhere}
.talk .tool .words{color:var(--faint);font-family:ui-monospace,Consolas,monospace;font-size:.85rem}
mark{background:var(--mark);color:var(--on-mark);padding:0 .15em}
.why{color:var(--bad);display:block;font-size:.87rem}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;list-style:none;margin:.3rem 0;padding:0;font-size:.87rem}
.legend i{display:inline-block;width:1.4em;height:.8em;margin-right:.4em;border:1px solid var(--faint)}
.aside{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
audio{width:100%;margin:.4rem 0}
:focus-visible{outline:3px solid var(--now);outline-offset:2px}
@media(max-width:40rem){.talk li{grid-template-columns:3.6rem 3.6rem 1fr;font-size:.93rem}}
@media print{.call{break-inside:avoid}}
"""
