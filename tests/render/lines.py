"""Where the lines and arrays of a placement run, and what they touch."""

from __future__ import annotations

from itertools import pairwise

from tracenet.render.placement import Area


def marks(blocks):
    """All marks of some blocks, with the point from which they are seen."""
    for x, y, block in blocks:
        for mark in block.marks:
            yield x, y, mark
        yield from marks((x + dx, y + dy, inner) for dx, dy, inner in block.inside)


def line_of(placement, id) -> list[tuple[float, float]]:
    """The points of an arrow's line, curves in small steps, up to the tip of its head."""
    (_, _, block), *_ = placement.blocks[id]
    line, head = block.marks
    points, path = iter(line.points), []
    for step in line.code:
        if step == "C":
            start, one, two, end = path[-1], next(points), next(points), next(points)
            for i in range(1, 9):
                t = i / 8
                weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
                four = (start, one, two, end)
                path.append(tuple(sum(w * p[k] for w, p in zip(weights, four)) for k in (0, 1)))
        else:
            path.append(next(points))
    return [*path, head.points[0]]


def labels(placement, id) -> list[Area]:
    return [
        Area(x, y, x + block.width, y + block.height) for x, y, block in placement.blocks[id][1:]
    ]


def shrunk(area: Area, by: float = 1.0) -> Area:
    return Area(area.left + by, area.top + by, area.right - by, area.bottom - by)


def meet(a: Area, b: Area) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom


def crosses(one, two, area: Area) -> bool:
    """Whether a short or a straight piece of a line lies over an area, by halving it."""
    box = Area(min(one[0], two[0]), min(one[1], two[1]), max(one[0], two[0]), max(one[1], two[1]))
    if box.right <= area.left or area.right <= box.left:
        return False
    if box.bottom <= area.top or area.bottom <= box.top:
        return False
    if one[0] == two[0] or one[1] == two[1]:
        return True
    if box.right - box.left < 0.5 and box.bottom - box.top < 0.5:
        return True
    middle = (one[0] + two[0]) / 2, (one[1] + two[1]) / 2
    return crosses(one, middle, area) or crosses(middle, two, area)


def over(path, area: Area) -> bool:
    inner = shrunk(area)
    return any(crosses(one, two, inner) for one, two in pairwise(path))


def on_border(point, area: Area, slack: float = 0.1) -> bool:
    x, y = point
    across = area.left - slack <= x <= area.right + slack
    along = area.top - slack <= y <= area.bottom + slack
    sides = abs(x - area.left), abs(x - area.right), abs(y - area.top), abs(y - area.bottom)
    return across and along and min(sides) <= slack
