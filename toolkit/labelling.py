"""What people say about images, one judgement at a time: an append-only log of who said what, and when."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from toolkit import taxonomy
from toolkit.errors import InvalidArgument, NotFound, NotLabelled, UnreadableManifest
from toolkit.truth import CHANCES, UNEQUAL, Truth, make_truth

if sys.platform != "win32":
    import fcntl

ANSWERS: Final = ("present", "absent", "unsure")
_UNDO: Final = "undo"
_COLUMNS: Final = ["when", "who", "source_ref", "label", "answer", "weight", "sample"]
_Stamp = tuple[int, int] | None
"""Changes whenever the file does; None where there is none, or it cannot be had."""


@dataclass(frozen=True)
class Judgement:
    """One answer of one person about one label on one image.

    Attributes
    ----------
    when
        UTC, ISO 8601.
    who
        The person's name, or `file: …` for what was imported.
    source_ref, label
        The image, and what was asked about it.
    answer
        present, absent or unsure.
    weight
        How many images of the collection it stands for; None where all had the same chance of being picked.
    sample
        Which sample it was picked in: weights of different samples do not go together.
    """

    when: str
    who: str
    source_ref: str
    label: str
    answer: str
    weight: float | None = None
    sample: str = ""


@dataclass(frozen=True)
class _Known:
    """What the file said when it had this stamp: each person's judgements, and all of them in a table, by time.

    `standing` keeps what `LabelLog.judgements` made of it.
    """

    stamp: _Stamp
    stacks: dict[str, list[Judgement]]
    table: pd.DataFrame
    standing: dict[tuple[str | None, str | None], pd.DataFrame] = field(default_factory=dict)

    def after(self, stamp: _Stamp, made: Sequence[Judgement]) -> "_Known":
        """With judgements of one person that were written since."""
        stack = [*self.stacks.get(made[0].who, []), *made]
        table = pd.concat([self.table, _table(made)]) if len(self.table) else _table(made)
        if len(self.table) and made[0].when < self.table["when"].iloc[-1]:  # a clock was put back
            table = table.sort_values("when", kind="stable")
        return _Known(stamp, self.stacks | {made[0].who: stack}, table)

    def without(self, stamp: _Stamp, who: str, within: dict[str, str]) -> "_Known":
        """Without what an undo took back."""
        stack = self.stacks.get(who, [])
        last = _last(stack, within)
        if last is None:
            return replace(self, stamp=stamp)
        taken = [getattr(stack[last], name) for name in ("when", "who", "source_ref", "label", "sample")]
        same = (self.table[["when", "who", "source_ref", "label", "sample"]] == taken).all(axis=1)
        rows = np.delete(np.arange(len(self.table)), np.flatnonzero(same)[-1])
        return _Known(stamp, self.stacks | {who: [*stack[:last], *stack[last + 1 :]]}, self.table.iloc[rows])


class LabelLog:
    """The log of a workspace; nothing in it is ever changed, an undo is a line of its own.

    Parameters
    ----------
    path
        A JSON Lines file; made with the first judgement.

    Examples
    --------
    >>> import tempfile
    >>> log = LabelLog(Path(tempfile.mkdtemp(), "labels.jsonl"))
    >>> log.add("ann", "s3://b/1.jpg", "Gambling", "present")
    >>> log.add("ann", "s3://b/2.jpg", "Gambling", "present")
    >>> log.undo("ann").source_ref
    's3://b/2.jpg'
    >>> log.truth("Gambling")
    Truth(1 images; present/judged: Gambling 1/1)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._known: _Known | None = None

    def add(
        self, who: str, source_ref: str, label: str, answer: str, *, weight: float | None = None, sample: str = ""
    ) -> None:
        """Writes one judgement.

        Raises
        ------
        InvalidArgument
            There is no name or no such answer.
        NotFound
            The file cannot be written.
        """
        self.add_many(who, [(source_ref, label, answer, weight)], sample=sample)

    def add_many(self, who: str, answers: Iterable[tuple[str, str, str, float | None]], *, sample: str = "") -> None:
        """Writes the judgements of one person or file, all of them or none.

        Parameters
        ----------
        who
            As in `Judgement`.
        answers
            Source reference, label, answer and weight of each.
        sample
            As in `Judgement`.

        Raises
        ------
        InvalidArgument, NotFound
            As `add`; nothing is written then.
        """
        if not who.strip():
            raise InvalidArgument("nobody is named; say who judges.")
        now, made = _now(), []
        for source_ref, label, answer, weight in answers:
            if answer not in ANSWERS:
                raise InvalidArgument(f"answer is {answer!r}; give one of {', '.join(ANSWERS)}.")
            spelled = taxonomy.canonical(label)
            made.append(Judgement(now, who.strip(), source_ref, spelled, answer, weight, sample))
        if made:
            self._append([vars(each) for each in made], lambda known, stamp: known.after(stamp, made))

    def undo(self, who: str, *, label: str | None = None, sample: str | None = None) -> Judgement | None:
        """Takes back this person's last judgement, and says which that was; None where there is none left.

        Parameters
        ----------
        who
            The person.
        label, sample
            The last one about this label, or in this sample; None is any.
        """
        within = {} if label is None else {"label": taxonomy.canonical(label)}
        within |= {} if sample is None else {"sample": sample}
        person = who.strip()
        stack = self._read().stacks.get(person, [])
        last = _last(stack, within)
        if last is None:
            return None
        record = {"when": _now(), "who": person, "answer": _UNDO, **within}
        self._append([record], lambda known, stamp: known.without(stamp, person, within))
        return stack[last]

    def judgements(self, label: str | None = None, who: str | None = None) -> pd.DataFrame:
        """What stands: of each person the last answer about each label on each image of a sample, undone ones left out.

        Returns
        -------
        pandas.DataFrame
            The columns of `Judgement`, in the order in which people answered.

        Raises
        ------
        UnreadableManifest
            A line is broken. A last line that a crash cut off is none.
        """
        known = self._read()
        if (label, who) not in known.standing:
            table = known.table
            if label is not None:
                table = table[table["label"] == taxonomy.canonical(label)]
            if who is not None:
                table = table[table["who"] == who.strip()]
            last = table.drop_duplicates(["who", "source_ref", "label", "sample"], keep="last")
            known.standing[label, who] = last.reset_index(drop=True)
        return known.standing[label, who].copy()

    def truth(self, label: str | None = None, *, who: str | None = None, sample: str | None = None) -> Truth:
        """Labelled samples of what people agree on: where two disagree, or anybody is unsure, the image is unknown.

        Parameters
        ----------
        label
            One label; None takes all of them.
        who, sample
            One person's judgements only, or those of one sample.

        Raises
        ------
        NotLabelled
            There is no judgement.
        InvalidArgument
            An image stands for different numbers of images in different samples: take one of them.
        UnreadableManifest
            As `judgements`.
        """
        table = self.judgements(label, who)
        if sample is not None:
            table = table[table["sample"] == sample]
        if table.empty:
            raise NotLabelled(f"{label or 'any label'}: nobody has judged it yet; label some images first.")
        weights = table.groupby("source_ref")["weight"].nunique(dropna=False)
        if (weights > 1).any() or 0 < table["weight"].isna().sum() < len(table):
            raise InvalidArgument(
                "these judgements come from samples with different chances of being picked; take one label and one "
                "sample at a time."
            )
        answers = table.groupby(["source_ref", "label"], sort=False)
        agreed = answers["answer"].agg(["first", "nunique"]).reset_index()
        agreed["present"] = agreed["first"].where(agreed["nunique"] == 1).map({"present": 1, "absent": 0})
        if table["weight"].notna().all():
            # Of a uniform sample none are kept: what was judged so far may be alike, the chances were not.
            agreed = agreed.assign(weight=answers["weight"].first().to_numpy(), **{CHANCES: UNEQUAL})
        return make_truth(agreed.drop(columns=["first", "nunique"]), str(self.path))

    def agreement(self, label: str) -> pd.DataFrame:
        """How far people agree about a label, pair by pair.

        Returns
        -------
        pandas.DataFrame
            `first`, `second`, `images` (judged present or absent by both), `agreed` (share, 0–1), `kappa`.

        Notes
        -----
        Cohen's kappa [1]_ is the agreement beyond what chance would bring: 1 is full agreement, 0 no more than chance;
        NaN where both gave one and the same answer throughout.

        References
        ----------
        .. [1] J. Cohen (1960). Educational and Psychological Measurement 20(1), 37–46.
        """
        from sklearn.metrics import cohen_kappa_score  # slow to load, and nobody else needs it

        table = self.judgements(label)
        said = table[table["answer"] != "unsure"].pivot(index="source_ref", columns="who", values="answer")
        rows = []
        for first, second in combinations(said.columns, 2):
            both = said[[first, second]].dropna()
            one, other = both[first], both[second]
            same = float((one == other).mean()) if len(both) else float("nan")
            told_apart = len(both) > 0 and len(set(one) | set(other)) > 1
            kappa = float(cohen_kappa_score(one, other)) if told_apart else float("nan")
            rows.append((first, second, len(both), same, kappa))
        return pd.DataFrame(rows, columns=["first", "second", "images", "agreed", "kappa"])

    def disputes(self, label: str) -> pd.DataFrame:
        """The judgements of images on which people do not all say the same, which `truth` takes for unknown.

        Returns
        -------
        pandas.DataFrame
            As `judgements`; the rows of an image follow one another, the images judged first come first.
        """
        table = self.judgements(label)
        images = table.groupby("source_ref", sort=False)
        disputed = table[images["answer"].transform("nunique") > 1]
        return disputed.iloc[disputed.groupby("source_ref", sort=False).ngroup().argsort(kind="stable")]

    def _read(self) -> "_Known":
        """What the file says, read again where it has changed."""
        stamp = self._stamp()
        if self._known is None or self._known.stamp != stamp:
            stacks = self._stacks()
            every = _table([each for stack in stacks.values() for each in stack])
            self._known = _Known(stamp, stacks, every.sort_values("when", kind="stable"))
        return self._known

    def _stamp(self) -> _Stamp:
        try:
            return _stamp(self.path.stat())
        except OSError:
            return None

    def _stacks(self) -> dict[str, list[Judgement]]:
        """Each person's judgements, without those that they took back."""
        stacks: dict[str, list[Judgement]] = {}
        for number, line in self._lines():
            try:
                record = json.loads(line)
                stack = stacks.setdefault(str(record["who"]), [])
                if record["answer"] == _UNDO:
                    last = _last(stack, {name: record[name] for name in ("label", "sample") if name in record})
                    if last is not None:
                        del stack[last]
                elif record["answer"] in ANSWERS:
                    stack.append(Judgement(**record))
                else:
                    raise ValueError(record["answer"])
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise UnreadableManifest(
                    f"{self.path}: line {number} is not a judgement; take the file as it was, or mend that line."
                ) from error
        return stacks

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise NotFound(f"{self.path}: cannot be read ({error.strerror}); check its permissions.") from error
        for number, line in enumerate(data.splitlines(), start=1):
            if line.endswith(b"}"):  # else a crash cut it off, and nobody was told that it is kept
                yield number, line

    def _append(self, records: Sequence[Mapping[str, object]], then: Callable[[_Known, _Stamp], _Known]) -> None:
        """All in one write, at the end of the file whatever others write meanwhile; on the disk when it returns.

        `then` says what is known after it, so that a file that nobody else has changed is not read again.
        """
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                if sys.platform != "win32":
                    fcntl.flock(descriptor, fcntl.LOCK_EX)  # closing lets go of it
                known = self._known
                current = known is not None and known.stamp == _stamp(os.fstat(descriptor))
                _write(descriptor, lines)
                os.fsync(descriptor)
                if known is not None and current:
                    self._known = then(known, _stamp(os.fstat(descriptor)))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise NotFound(f"{self.path}: cannot be written ({error.strerror}); check folder and disk.") from error


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_size


def _table(judgements: Sequence[Judgement]) -> pd.DataFrame:
    return pd.DataFrame([vars(each) for each in judgements], columns=_COLUMNS).astype({"weight": float})


def _write(descriptor: int, lines: bytes) -> None:
    """At the end of a locked file; where the disk has no place for all of it, nothing stays."""
    size = os.fstat(descriptor).st_size
    cut_off = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    left = memoryview(b"\n" + lines if cut_off else lines)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _last(stack: list[Judgement], within: dict[str, str]) -> int | None:
    """Where the last judgement stands that has these values."""
    fits = (all(getattr(each, name) == value for name, value in within.items()) for each in reversed(stack))
    return next((len(stack) - back for back, fit in enumerate(fits, start=1) if fit), None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
