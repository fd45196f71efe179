"""The job's request, checked and made into parts. Every mistake is one sentence with file, key and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from batchrunner.config import ANY_OF, SEARCH_FIELDS, Cell, Job, Node
from batchrunner.mapping.cells import EmptyRule, Judge, blank_of, complaints_about, is_plain, judge_of
from batchrunner.mapping.conditions import Condition, parse_condition
from batchrunner.mapping.conversions import check_numbers
from batchrunner.mapping.files import MAX_BYTES
from batchrunner.mapping.origins import Column, Origin, Pick, Template
from batchrunner.mapping.parts import Array, Constant, ConvertedCell, Gathered, Object, Part, Tags, TextCell
from batchrunner.mapping.problems import Problem, is_blank
from batchrunner.mapping.templates import Piece, Placeholder, columns_of, parse_template

LeafPart = TextCell | ConvertedCell | Gathered | Tags
"""What has values of its own."""

_BODY = ("data", "content", "attach")
_FLAGS = ("skip_triggers", "skip_invalid_subscriptions", "detect_geo")
_SEARCHABLE = ("text", "int", "date", "datetime", "phone", "email")
_UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')
_NOTHING = Constant("")
"""Stands for a part that has a mistake: nothing is mapped by it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The body by its fields: what the profile is searched by, what never changes, and the rest."""

    search: dict[str, Constant | LeafPart]
    constants: dict[str, Part]
    body: dict[str, Part]
    when: Condition | None = None
    """Which rows are sent at all; None: all of them."""


@dataclass(frozen=True, slots=True)
class Use:
    """A key of the job file that reads a column."""

    key: str
    column: str


class Compiler:
    """Walks the request of a job once, and gathers parts, uses of columns and mistakes."""

    def __init__(self, job: Job, columns: Collection[str] | None = None, source_name: str = "") -> None:
        """Without `columns`, any column may be used."""
        self._job = job
        self._known = None if columns is None else {*columns, *job.source.optional}
        self._columns = list(columns or ())
        self._source_name = source_name
        self._home = job.beside(".")
        self._leaves: dict[object, LeafPart] = {}
        self._judges: dict[str, Judge] = {}
        self.reads_files = False
        """Whether the content of files goes into requests."""
        self.looks_elsewhere = False
        """Whether anything but the cells of a row decides what becomes of them: a file, or a time zone."""
        self.upload_folders: list[str] = []
        """Folders of files that are uploaded, as the job file writes them."""
        self.fetched_hosts: dict[str, int] = {}
        """Hosts whose contents go into requests, and the most bytes of one."""
        self.uses: list[Use] = []
        self.mistakes: list[str] = []

    def plan(self) -> Plan:
        """The parts of the request; look at `mistakes` before using them."""
        request = self._job.request
        search = {
            name: self._search(name, getattr(request, name))
            for name in SEARCH_FIELDS[request.matching]
            if getattr(request, name) is not None
        }
        body = {name: self._part(f"request.{name}", written) for name in _BODY if (written := getattr(request, name))}
        return Plan(search, self._constants(), body, self._when())

    def _constants(self) -> dict[str, Part]:
        request = self._job.request
        flags = {name: getattr(request, name) for name in _FLAGS}
        values = {"matching": request.matching, **self._numbers()}
        values |= {name: flag for name, flag in flags.items() if flag is not None}
        return {name: Constant(value) for name, value in values.items()}

    def _numbers(self) -> dict[str, int | None]:
        """The scenario and the database, under the names that the call has for them."""
        target = self._job.target
        numbers = {}
        if target.call.scenario is not None:
            number = getattr(target, target.call.number)
            self._check_constant(f"target.{target.call.number}", number)
            numbers[target.call.scenario] = number
        if target.call.database != "no" and target.db_id is not None:
            self._check_constant("target.db_id", target.db_id)
            numbers["db_id"] = target.db_id
        return numbers

    # --- what the profile is searched by ---

    def _search(self, name: str, node: Node) -> Constant | LeafPart:
        key = f"request.{name}"
        if name == "field_name":  # the name of a field of the platform, not a template
            return Constant(node)
        as_tags = isinstance(node, Cell) and node.as_ == "list" and name == "field_value"
        if not as_tags and (complaint := _unsearchable(node)):
            self._mistake(key, complaint)
            return _NOTHING
        either = self._job.request.matching in ANY_OF and self._both_are_mapped()
        reason = None if either else "and the profile is looked up by it"
        rule = EmptyRule("omit", overrides=True, needed=reason)
        match node:
            case Cell():
                found = self._cell(key, node, rule)
                return Tags(found) if as_tags and isinstance(found, ConvertedCell | Gathered) else found
            case str():
                return self._text(key, node, rule)
        self._check_constant(key, node)
        return Constant(node)

    def _both_are_mapped(self) -> bool:
        request = self._job.request
        return all(getattr(request, name) is not None for name in SEARCH_FIELDS[request.matching])

    # --- any node ---

    def _part(self, key: str, node: Node, rule: EmptyRule | None = None) -> Part:
        rule = rule or EmptyRule(empty=self._job.rules.empty)
        match node:
            case Cell():
                return self._cell(key, node, rule)
            case str():
                return self._text(key, node, rule)
            case Mapping():
                return self._object(key, node)
            case tuple():
                return self._array(key, node)
        self._check_constant(key, node)
        return Constant(node)

    def _object(self, key: str, node: Mapping[str, Node]) -> Part:
        for name in filter(_UNNAMEABLE.search, node):
            self._mistake(
                f"{key}.{name!r}", "a field cannot have a quote, a backslash or a control character in its name"
            )
        members = {name: self._part(f"{key}.{name}", member) for name, member in node.items()}
        if all(isinstance(member, Constant) for member in members.values()):
            return Constant({name: member.value for name, member in members.items() if isinstance(member, Constant)})
        return _NOTHING if any(map(_UNNAMEABLE.search, node)) else Object(members)

    def _array(self, key: str, node: tuple[Node, ...]) -> Part:
        items = [self._part(f"{key}[{number}]", item) for number, item in enumerate(node)]
        if all(isinstance(item, Constant) for item in items):
            return Constant([item.value for item in items if isinstance(item, Constant)])
        return Array(items)

    def _text(self, key: str, text: str, rule: EmptyRule) -> Constant | LeafPart:
        try:
            pieces = parse_template(text)
        except ValueError as error:
            self._mistake(key, f"template '{text}' {error}")
            return _NOTHING
        if columns_of(pieces):
            return self._cell(key, Cell(template=text), rule)
        return Constant("".join(map(str, pieces)))

    def _cell(self, key: str, cell: Cell, rule: EmptyRule) -> Constant | LeafPart:
        self.looks_elsewhere |= cell.as_ == "file" or (cell.as_ == "datetime" and cell.timezone is not None)
        self.reads_files |= cell.as_ == "file" and not cell.upload
        if cell.upload:
            self.upload_folders.append(cell.folder or "")
        for host in map(str.lower, cell.hosts or ()):
            self.fetched_hosts[host] = max(self.fetched_hosts.get(host, 0), cell.max_bytes or MAX_BYTES)
        complaints = complaints_about(cell, self._home)
        for complaint in complaints:
            self._mistake(key, complaint)
        origins = self._origins(key, cell)
        columns = [column for origin in origins for column in origin.columns]
        for column in columns:
            self._use(key, column)
        if complaints or not columns:
            return _NOTHING
        # Told apart by their text: 1 and true are equal to Python, and not to the platform.
        written = cell.model_copy(update={"column": None, "template": None})
        return self._leaf((tuple(origins), written.model_dump_json(), rule), cell, origins, rule)

    def _leaf(self, same: object, cell: Cell, origins: Sequence[Origin], rule: EmptyRule) -> LeafPart:
        """One part for all places that ask for the same, so that it is converted once."""
        if same not in self._leaves:
            self._leaves[same] = self._new_leaf(cell, origins, rule)
        return self._leaves[same]

    def _new_leaf(self, cell: Cell, origins: Sequence[Origin], rule: EmptyRule) -> LeafPart:
        if cell.columns is not None:
            items = [self._item(cell, origin) for origin in origins]
            blank = blank_of(cell, rule, self._home)
            whole = blank if blank is UNSET or blank is None or isinstance(blank, Problem | list) else [blank]
            return Gathered(items, whole, flat=cell.as_ == "list")
        one = _subject(cell, origins[0])
        blank = blank_of(one, rule, self._home)
        return TextCell(origins[0], blank) if is_plain(one) else ConvertedCell(origins[0], self._judge(one), blank)

    def _item(self, cell: Cell, origin: Origin) -> ConvertedCell:
        one = cell.model_copy(
            update={"column": origin.columns[0], "columns": None, "required": False, "default": None, "empty": "omit"}
        )
        return ConvertedCell(origin, self._judge(one), UNSET)

    def _judge(self, cell: Cell) -> Judge:
        """One judge for all cells that differ in nothing but what empty ones become."""
        same = cell.model_copy(update={"required": False, "default": None, "empty": None}).model_dump_json()
        if same not in self._judges:
            self._judges[same] = judge_of(cell, self._home, self._job.repair)
        return self._judges[same]

    def _origins(self, key: str, cell: Cell) -> list[Origin]:
        """One origin; or one for each of several `columns`."""
        if cell.columns is not None:
            return [Column(name) for name in cell.columns]
        if cell.pick is not None:
            return [Pick(cell.pick)]
        if cell.template is None:
            return [Column(cell.column or "")]
        pieces = self._pieces(key, cell.template)
        match pieces:
            case ():
                return []
            case (Placeholder(column, chain),) if not chain:  # "{Email}" is the column Email
                return [Column(column)]
        return [Template(pieces)]

    def _pieces(self, key: str, template: str) -> tuple[Piece, ...]:
        try:
            pieces = parse_template(template)
        except ValueError as error:
            self._mistake(key, f"template '{template}' {error}")
            return ()
        if not columns_of(pieces):
            self._mistake(key, f"template '{template}' names no {{Column}}; write a constant as a plain text")
        return pieces

    # --- which rows ---

    def _when(self) -> Condition | None:
        text = self._job.rules.when
        if text is None:
            return None
        try:
            condition = parse_condition(text)
        except ValueError as error:
            self._mistake("rules.when", f"'{text}' {error}")
            return None
        for column in condition.columns:
            self._use("rules.when", column)
        return condition

    # --- mistakes ---

    def _use(self, key: str, column: str) -> None:
        use = Use(key, column)
        if use in self.uses:
            return
        self.uses.append(use)
        if self._known is not None and column not in self._known:
            near = _nearest(column, self._columns)
            self._mistake(key, f"column '{column}' is not in {self._source_name}; {near}")

    def _check_constant(self, key: str, value: object) -> None:
        try:
            check_numbers(value)
        except ValueError as error:
            self._mistake(key, str(error))

    def _mistake(self, key: str, sentence: str) -> None:
        self.mistakes.append(f"{self._job.file.name}: {key}: {sentence}")


def _subject(cell: Cell, origin: Origin) -> Cell:
    """The cell as sentences call it: a template that is nothing but a placeholder is its column."""
    if isinstance(origin, Column):
        return cell.model_copy(update={"column": origin.column, "template": None})
    return cell


def _unsearchable(node: Node) -> str | None:
    """Why a profile cannot be looked up by this, or None."""
    if isinstance(node, Cell) and node.columns is not None:
        return "is a list of several columns, and the profile is looked up by one value; use `pick`"
    if isinstance(node, Cell) and any(isinstance(value, bool | float) for value in _of_map(node)):
        return "has a map to something else than texts and whole numbers, and the profile is looked up by it"
    if isinstance(node, str) and is_blank(node):
        return "is empty, and the profile is looked up by it"
    if isinstance(node, Cell) and node.as_ not in _SEARCHABLE:
        right = f"as = {', '.join(_SEARCHABLE[:-1])} or {_SEARCHABLE[-1]}"
        return f"as = {node.as_} gives nothing that a profile can be looked up by; use {right}"
    if isinstance(node, Mapping | tuple | bool | float):
        return "must be a text or a whole number, because the profile is looked up by it"
    return None


def _of_map(cell: Cell) -> list[object]:
    return [*(cell.map or {}).values(), cell.unmapped, cell.default if cell.map else None]


def _nearest(column: str, columns: list[str]) -> str:
    by_folded = {name.strip().casefold(): name for name in reversed(columns)}
    close = difflib.get_close_matches(column.strip().casefold(), by_folded, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{by_folded[close[0]]}'?"
    return f"it has {', '.join(columns)}" if columns else "it has no columns"
