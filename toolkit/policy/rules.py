"""Thresholds per label become decisions per image."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from os import PathLike
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from toolkit import checks, storage, taxonomy
from toolkit.confidence import written
from toolkit.curves import binomial_interval
from toolkit.errors import InvalidPolicy
from toolkit.htmltable import described
from toolkit.policy import export
from toolkit.policy.rule import Rule
from toolkit.results import GUESSED, Counted, Results

FORMAT: Final = "modkit-policy"
VERSION: Final = 2
DECISIONS: Final = ("allow", "review", "block")


class OtherModels(UserWarning):
    """A policy meets results of a model that its thresholds were not chosen on."""


@dataclass(frozen=True)
class Policy:
    """Rules for labels.

    Attributes
    ----------
    rules
        Label to `Rule`.
    provenance
        Where the thresholds come from: anything that JSON can hold.

    Raises
    ------
    InvalidPolicy
        A rule is none, or one label has two, under its old and its new spelling.
    """

    rules: Mapping[str, Rule]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for label, rule in self.rules.items():
            if not isinstance(rule, Rule) or not label:
                raise InvalidPolicy(f"{label!r}: {rule!r} is not a rule for a label; write Rule(block=…, review=…).")
        spelled: dict[str, str] = {}
        for label in self.rules:
            known = spelled.setdefault(taxonomy.canonical(label), label)
            if known != label:
                raise InvalidPolicy(f"{known!r} and {label!r} are the same label in two spellings; give it one rule.")
        object.__setattr__(self, "rules", {name: self.rules[label] for name, label in spelled.items()})

    @property
    def min_confidence(self) -> float | None:
        """The MinConfidence to give the next job: the lowest threshold in use, percent; None without rules."""
        values = [v for rule in self.rules.values() for v in (rule.block, rule.review) if v is not None]
        return min(values, default=None)

    def with_rule(self, label: str, rule: Rule, why: Mapping[str, Any] | None = None) -> "Policy":
        """This policy with one label's rule set; its provenance keeps `why` (anything that JSON can hold) and when.

        Examples
        --------
        >>> Policy({}).with_rule("Gambling", Rule(block=80.0)).min_confidence
        80.0
        """
        name = taxonomy.canonical(label)
        said = {"picked": datetime.now(UTC).isoformat(timespec="seconds")} | dict(why or {})
        return Policy({**self.rules, name: rule}, self._with_reason(name, said))

    def without(self, label: str) -> "Policy":
        """This policy with no rule for a label; unchanged where it has none."""
        name = taxonomy.canonical(label)
        rules = {known: rule for known, rule in self.rules.items() if known != name}
        return Policy(rules, self._with_reason(name, None))

    def _repr_html_(self) -> str:
        def words(rule: Rule) -> str:
            bands = {"review": rule.review, "block": rule.block}
            return ", ".join(f"{name} from {written(value)}" for name, value in bands.items() if value is not None)

        rules = {label: words(rule) for label, rule in self.rules.items()}
        least = "no rule yet" if self.min_confidence is None else written(self.min_confidence)
        return described("Policy", rules | {"MinConfidence for the next job": least})

    def _with_reason(self, label: str, said: Mapping[str, Any] | None) -> dict[str, Any]:
        """Where the thresholds come from, once this label's was picked (or taken out): the objective that chose it
        before no longer explains it.
        """
        provenance = dict(self.provenance)
        if "objectives" in provenance:
            provenance["objectives"] = [each for each in provenance["objectives"] if each.get("label") != label]
        picked = {known: each for known, each in provenance.get("picked", {}).items() if known != label}
        picked |= {} if said is None else {label: dict(said)}
        return provenance | ({"picked": picked} if picked or "picked" in provenance else {})

    def require(self, floor: float, *, guessed: bool = False) -> None:
        """Refuses to speak about a run that reported nothing below `floor` (percent).

        `guessed` says that nobody told that floor.

        Raises
        ------
        BelowFloor
            A threshold lies there.
        """
        for label, rule in self.rules.items():
            for threshold in (rule.review, rule.block):
                if threshold is not None:
                    checks.not_below(floor, threshold, label, guessed=guessed)

    def on_unknown(self, results: Counted) -> list[str]:
        """One sentence on each label that is neither in the taxonomy nor reported in a run, or in the summary of a
        collection: most likely it is misspelt, and its rule flags no image.
        """
        reported = results.label_names()
        return [
            f"{label} is neither in the taxonomy nor reported in this run, so its rule flags nothing; {advice}"
            for label in self.rules
            if (advice := taxonomy.advice_on_unknown(label, reported))
        ]

    def on_other_models(self, results: Counted) -> list[str]:
        """One sentence, if some of the models that answered are not those that the thresholds were chosen on.

        None where the policy does not say what it was chosen on, or where each of its thresholds was picked by hand.
        """
        origin = self.provenance.get("results")
        known = origin.get("models") if isinstance(origin, Mapping) else None
        chosen_on = sorted(map(str, known)) if isinstance(known, list) else []
        others = [model for model in results.models if model not in chosen_on]
        if not (others and chosen_on) or set(self.rules) <= set(self.provenance.get("picked", {})):
            return []
        return [
            f"this policy was chosen on answers of model {' and '.join(chosen_on)}, and these are of model "
            f"{' and '.join(others)}, whose confidences mean something else; choose the policy again on a run of that "
            f"model."
        ]

    def warn_of_misfits(self, results: Counted) -> None:
        """Warns of what `on_unknown` (UserWarning) and `on_other_models` (OtherModels, which is one) say."""
        for said in self.on_unknown(results):
            warnings.warn(said, stacklevel=3)
        for said in self.on_other_models(results):
            warnings.warn(said, OtherModels, stacklevel=3)

    def decide(self, results: Results) -> pd.DataFrame:
        """One decision an analyzed image: the strictest that any label asks for.

        Images that failed are not here: nothing is known of them (see `results.errors`). Warns as `warn_of_misfits`.

        Parameters
        ----------
        results
            A run whose floor is not above any threshold of the policy.

        Returns
        -------
        pandas.DataFrame
            `image`, `source_ref`, `decision` (allow, review or block), `label` that decided (the one with the highest
            confidence among those asking for it; missing for allow), `confidence` (percent).

        Raises
        ------
        BelowFloor
            The run cannot speak about one of the thresholds.
        InvalidArgument
            `results` are none.
        """
        checks.kind("results", results, Results, "read_results")
        self.require(results.min_confidence, guessed=results.floor_source == GUESSED)
        self.warn_of_misfits(results)
        return decisions_of(self.rules, results)

    def forecast(self, results: Results, *, confidence_level: float = 0.95) -> pd.DataFrame:
        """What the policy would do with a thousand images like these. Warns as `warn_of_misfits`.

        Parameters
        ----------
        results
            A run on images that stand for the ones to come.
        confidence_level
            Coverage of the interval (Clopper–Pearson), which takes the images for a random sample.

        Returns
        -------
        pandas.DataFrame
            One row a decision: `decision`, `images` (of this run), `per_thousand`, `per_thousand_low`,
            `per_thousand_high`; NaN for a run without images.

        Raises
        ------
        BelowFloor
            The run cannot speak about one of the thresholds.
        InvalidArgument
            `confidence_level` is not between 0 and 1, or `results` are none.
        """
        checks.kind("results", results, Results, "read_results")
        self.require(results.min_confidence, guessed=results.floor_source == GUESSED)
        self.warn_of_misfits(results)
        return forecast_of(decisions_of(self.rules, results)["decision"].value_counts(), confidence_level)

    def to_a2i(self) -> dict[str, Any]:
        """The review bands as activation conditions of Amazon A2I: which images a person should look at.

        Returns
        -------
        dict
            JSON-ready. A label is reviewed from `review` up to, not including, `block`; a rule without `review` adds
            nothing. Thresholds are written as the float32 that they are, so that who compares in double precision comes
            to what `decide` says. A label that older responses spell otherwise is looked for under both names. A2I
            looks at labels one by one, so an image that another label blocks may still be sent to review.
        """
        return export.to_a2i(self.rules)

    def to_python(self) -> str:
        """The policy as a Python function that needs nothing but Python, to paste into a service.

        Returns
        -------
        str
            Source of `decide(moderation_labels)`, which takes the ModerationLabels of one response and returns "allow",
            "review" or "block", as `Policy.decide` does.
        """
        return export.to_python(self.rules)

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the policy as versioned JSON.

        Raises
        ------
        NotFound
            The path cannot be written.
        InvalidPolicy
            The provenance holds something that JSON cannot.
        """
        document: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "rules": {label: asdict(rule) for label, rule in self.rules.items()},
            "min_confidence": self.min_confidence,
            "provenance": dict(self.provenance),
        }
        document = _plain(document, path)
        document["sha256"] = _digest(document)
        storage.write(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Reads what `save` wrote.

        Raises
        ------
        NotFound
            There is no such file.
        InvalidPolicy
            It is not a policy, one of a newer version, or not as it was saved.
        """
        try:
            document = json.loads(storage.read(path))
            kind, version, given = document["format"], document["version"], document["rules"]
            signed, digest = document.pop("sha256", None), _digest(document)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidPolicy(f"{path}: not a policy file; take one that this toolkit saved.") from error
        if kind != FORMAT or version != VERSION:
            raise InvalidPolicy(
                f"{path}: {kind} version {version}; this toolkit reads {FORMAT} version {VERSION}: use the one that "
                f"wrote it, or choose the thresholds again."
            )
        if signed != digest:
            raise InvalidPolicy(
                f"{path}: changed since it was saved, so where its thresholds come from is not known; take the file as "
                f"it was, or choose the thresholds again."
            )
        try:
            rules = {label: Rule(rule["block"], rule["review"]) for label, rule in given.items()}
            return cls(rules, dict(document.get("provenance", {})))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidPolicy(f"{path}: a rule is not {{block, review}}; choose the thresholds again.") from error


def decisions_of(rules: Mapping[str, Rule], results: Results) -> pd.DataFrame:
    """The table of `Policy.decide`, whatever the run's floor."""
    severity = np.zeros(results.n_images, dtype=np.int8)
    decided = np.full(results.n_images, None, dtype=object)
    confidence = np.full(results.n_images, np.nan, dtype=np.float32)
    for label, rule in rules.items():
        scores = results.scores(label)
        for step, threshold in ((1, rule.review), (2, rule.block)):
            if threshold is None:
                continue
            asks = scores >= np.float32(threshold)
            wins = asks & ((step > severity) | ((step == severity) & ~(confidence >= scores)))
            severity[wins], decided[wins], confidence[wins] = step, label, scores[wins]
    return pd.DataFrame(
        {
            "image": results.images["image"],
            "source_ref": results.images["source_ref"],
            "decision": pd.Categorical(np.array(DECISIONS)[severity], categories=list(DECISIONS), ordered=True),
            "label": pd.array(decided, dtype="str"),
            "confidence": confidence,
        }
    )


def forecast_of(counts: pd.Series, confidence_level: float) -> pd.DataFrame:
    """The table of `Policy.forecast` from numbers of images, indexed by decision."""
    images = counts.reindex(list(DECISIONS), fill_value=0).to_numpy()
    low, high = binomial_interval(images, images.sum(), confidence_level)
    return pd.DataFrame(
        {
            "decision": list(DECISIONS),
            "images": images,
            "per_thousand": 1000 * images / (images.sum() or np.nan),
            "per_thousand_low": 1000 * low,
            "per_thousand_high": 1000 * high,
        }
    )


def _plain(document: dict[str, Any], path: str | PathLike[str]) -> dict[str, Any]:
    """The document as a reader will find it, so that both make the same digest: names are text there, tuples lists."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(document, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPolicy(
            f"{path}: not written, as the provenance holds something that JSON cannot ({error}); give text, numbers, "
            f"lists and dictionaries."
        ) from error
    return plain


def _digest(document: Mapping[str, Any]) -> str:
    """Of everything in the file: it shows a change, by hand or by accident. Who wants to deceive can make a new one."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
