"""Cells of text and roles, written to by place, read as rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.cells import cell_len

Row = list[tuple[str, str]]
"""One line of a chart: pieces of text, each with the name of its role (a theme variable) or an empty one."""


@dataclass(slots=True)
class Canvas:
    """Cells of one character and one role each."""

    width: int
    height: int
    cells: list[list[tuple[str, str]]] = field(init=False)

    def __post_init__(self) -> None:
        self.cells = [[(" ", "")] * self.width for _ in range(self.height)]

    def put(self, column: int, row: int, text: str, role: str) -> None:
        """Write ``text``; what lies outside is cut off."""
        if not 0 <= row < self.height:
            return
        for char in text:
            wide = cell_len(char)
            if column >= 0 and column + wide <= self.width:
                self.cells[row][column] = (char, role)
                if wide == 2:
                    self.cells[row][column + 1] = ("", role)
            column += wide

    def free(self, column: int, row: int, width: int) -> bool:
        """Whether nothing is written on these cells, all of them inside."""
        if not (0 <= row < self.height and column >= 0 and column + width <= self.width):
            return False
        return all(char == " " for char, _ in self.cells[row][column : column + width])

    def dots(self, start: tuple[int, int], end: tuple[int, int], role: str) -> None:
        """Dots from one cell towards another, on every second column where nothing is written yet."""
        (column, row), (last, to) = start, end
        for step in range(2, last - column, 2):
            place = round(row + (to - row) * step / (last - column))
            if self.free(column + step, place, 1):
                self.put(column + step, place, "·", role)

    def rows(self) -> list[Row]:
        """Pieces of one role each."""
        found = []
        for cells in self.cells:
            row: Row = []
            for char, role in cells:
                if row and row[-1][1] == role:
                    row[-1] = (row[-1][0] + char, role)
                else:
                    row.append((char, role))
            found.append(row)
        return found
