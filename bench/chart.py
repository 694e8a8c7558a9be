#!/usr/bin/python3
"""Draws the aims of compare.sh as SVG: chart.py <measured >performance.svg

The first line says what was measured; each other one has, by tabs, a name, whether
the aim is at "most" or at "least" so much, how much that is, and what was measured.
All are ratios to plaintext.
"""
import sys
from html import escape

WIDTH = 760
LEFT = 236          # where bars begin
RIGHT = 560         # where the scale ends
ROW = 30
BAR = 14

STYLE = """
  .back { fill: #ffffff; stroke: #d0d7de }
  text { font: 13px system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; fill: #1f2328 }
  .heading { font-weight: 600; font-size: 14px }
  .quiet { fill: #59636e; font-size: 12px }
  .name { text-anchor: end }
  .middle { text-anchor: middle }
  .met { fill: #0969da }
  .missed { fill: #bc4c00 }
  .grid { stroke: #d0d7de }
  .one { stroke: #59636e; stroke-dasharray: 3 3 }
  .aim { fill: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117; stroke: #3d444d }
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .met { fill: #4493f8 }
    .missed { fill: #f0883e }
    .grid { stroke: #3d444d }
    .one { stroke: #9198a1 }
    .aim { fill: #f0f6fc }
  }
"""

PANELS = [
    ("most", "What it costs", "plaintext is 1, less is better"),
    ("least", "How fast it is", "plaintext is 1, more is better"),
]


class Aim:
    def __init__(self, line):
        self.name, self.kind, bound, value = line.rstrip("\n").split("\t")
        self.bound, self.value = float(bound), float(value)

    @property
    def met(self):
        return self.value <= self.bound if self.kind == "most" else self.value >= self.bound

    @property
    def sentence(self):
        return (f"{self.name}: {self.value:.2f}, aim at {self.kind} {self.bound:g}, "
                f"{'met' if self.met else 'not met'}.")


def x(value, scale):
    return LEFT + (RIGHT - LEFT) * min(value, scale) / scale


def text(left, top, words, kind=""):
    attribute = f' class="{kind}"' if kind else ""
    return f'  <text x="{left:g}" y="{top:g}"{attribute}>{escape(words)}</text>'


def line(left, top, bottom, kind):
    return f'  <line x1="{left:.1f}" x2="{left:.1f}" y1="{top}" y2="{bottom}" class="{kind}"/>'


def row(aim, top, scale):
    bar = top + (ROW - BAR) // 2
    mark = x(aim.bound, scale)
    end = x(aim.value, scale)
    yield text(LEFT - 10, bar + 12, aim.name, "name")
    yield (f'  <rect x="{LEFT}" y="{bar}" width="{end - LEFT:.1f}" height="{BAR}" rx="2" '
           f'class="{"met" if aim.met else "missed"}"/>')
    # a line across the bar with a head above it, so that it is seen on either
    yield f'  <rect x="{mark - 1:.1f}" y="{bar - 4}" width="2" height="{BAR + 8}" class="aim"/>'
    yield f'  <path d="M{mark - 4:.1f} {bar - 8}h8l-4 5z" class="aim"/>'
    yield text(RIGHT + 16, bar + 12, f"{aim.value:.2f}")
    yield text(RIGHT + 56, bar + 12,
               f"at {aim.kind} {aim.bound:g}{'' if aim.met else ', not met'}", "quiet")


def panel(aims, top, heading, note, scale):
    bottom = top + 34 + ROW * len(aims)
    yield text(20, top + 16, heading, "heading")
    yield text(LEFT, top + 16, note, "quiet")
    ticks = [step * 0.5 for step in range(int(scale / 0.5) + 1)]
    for tick in ticks:
        yield line(x(tick, scale), top + 28, bottom, "one" if tick == 1 else "grid")
        yield text(x(tick, scale), bottom + 16, f"{tick:g}", "quiet middle")
    for number, aim in enumerate(aims):
        yield from row(aim, top + 30 + ROW * number, scale)


def draw(measured, aims):
    highest = max(max(aim.value, aim.bound) for aim in aims)
    scale = 0.5 * (int(highest / 0.5) + 1)
    top, body = 70, []
    for kind, heading, note in PANELS:
        chosen = [aim for aim in aims if aim.kind == kind]
        if chosen:
            body += panel(chosen, top, heading, note, scale)
            top += 34 + ROW * len(chosen) + 40
    height = top + 4
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title description">')
    yield '  <title id="title">key_vault beside plaintext, and its aims</title>'
    yield f'  <desc id="description">{escape(measured)}. {escape(" ".join(aim.sentence for aim in aims))}</desc>'
    yield f"  <style>{STYLE}  </style>"
    yield f'  <rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" class="back"/>'
    yield text(20, 30, "key_vault beside plaintext", "heading")
    yield text(20, 50, measured, "quiet")
    yield f'  <path d="M{RIGHT + 17} 21h8l-4 5z" class="aim"/>'
    yield f'  <rect x="{RIGHT + 20}" y="24" width="2" height="10" class="aim"/>'
    yield text(RIGHT + 32, 30, "the aim", "quiet")
    yield from body
    yield "</svg>"


def main():
    measured = sys.stdin.readline().strip()
    aims = [Aim(entry) for entry in sys.stdin if entry.strip()]
    print("\n".join(draw(measured, aims)))


if __name__ == "__main__":
    main()
