"""The report: figures and tables on one page."""

import re
import warnings
from dataclasses import replace

import pandas as pd
from figures import run

import toolkit as tk


def test_a_report_shows_the_policy_with_what_it_does_and_a_comparison(make) -> None:
    results, truth = run(make)
    policy = tk.Policy({"Gambling": tk.Rule(review=50, block=90), "Alcohol": tk.Rule(block=60)})
    found = tk.compare(results, results, truth, "Gambling", (50, 90))
    path = make.folder / "r.html"
    tk.write_report(path, {"run": results}, truth, policy=policy, comparisons={("<old>", "<new>"): found})
    page = path.read_text()
    text = " ".join(re.sub("<[^>]*>", " ", re.sub("<(script|style).*?</\\1>", "", page, flags=re.DOTALL)).split())
    assert "Gambling 50 90 Alcohol – 60" in text
    assert "Next MinConfidence: 50" in text
    allow, review, block = policy.forecast(results)["per_thousand"]
    assert re.search(rf"run {allow:.1f} \[.*?\] {review:.1f} \[.*?\] {block:.1f} \[", text)
    assert f"review from 50 : precision {tk.threshold_curve(results, truth, 'Gambling').at(50).precision:.3f} [" in text
    assert "Gambling: &lt;new&gt; against &lt;old&gt;" in text
    assert f"{found.fixed} are decided right only by the candidate, {found.broken} only by the base" in text
    rates = found.rates.set_index("measure")
    assert f"precision {rates.loc['precision', 'base']:.3f} {rates.loc['precision', 'candidate']:.3f} +" in text
    assert f"flagged wrongly {rates.loc['fp', 'base']:.0f} {rates.loc['fp', 'candidate']:.0f} -" in text


def test_a_report_has_no_number_where_nothing_was_flagged_and_exact_thresholds_elsewhere(make) -> None:
    results, truth = make.results({"Gambling": 50.30865}, {"Violence": 70}), make.truth("Gambling", [1, 0])
    policy = tk.Policy({"Gambling": tk.Rule(block=99)})
    tk.write_report(make.folder / "r.html", {"run": results}, truth, labels=["Gambling"], policy=policy)
    page = (make.folder / "r.html").read_text()
    assert re.search(r"block from 99</strong>:\s+precision –, recall 0\.000 \[", page)
    assert "<strong>MinConfidence 50.30865</strong>" in page


def test_a_report_says_where_a_run_cannot_speak_about_the_policy(make) -> None:
    results = make.results({"Gambling": 90}, {}, min_confidence=50)
    policy = tk.Policy({"Gambling": tk.Rule(block=30)})
    tk.write_report(make.folder / "r.html", {"run": results}, make.truth("Gambling", [1, 0]), policy=policy)
    page = (make.folder / "r.html").read_text()
    assert page.count("this run reported nothing below 50") == 2
    assert "Next MinConfidence: 30" in page


def test_a_report_says_that_failures_are_unknown_where_no_summary_is(make) -> None:
    tk.write_report(make.folder / "r.html", {"run": make.results({"Gambling": 90})})
    unknown = "failures unknown: no manifest-summary.json beside the results"
    assert unknown in (make.folder / "r.html").read_text()
    make.summary(1)
    tk.write_report(make.folder / "r.html", {"run": make.results({"Gambling": 90})})
    assert unknown not in (make.folder / "r.html").read_text()


def test_a_report_escapes_what_comes_from_outside(make) -> None:
    results = make.results({"<script>alert(1)</script>": 90})
    tk.write_report(make.folder / "r.html", {"<b>run</b>": results}, title="<i>title</i>")
    page = (make.folder / "r.html").read_text()
    for outside in ("<script>alert(1)", "<b>run</b>", "<i>title</i>"):
        assert outside not in page


def test_a_label_that_no_judged_image_has_still_shows_its_distribution(make) -> None:
    results = make.results({"Gambling": 90}, {"Gambling": 80}, {})
    truth = make.truth("Gambling", [None, None, 0])
    tk.write_report(make.folder / "r.html", {"run": results}, truth, labels=["Gambling"])
    page = (make.folder / "r.html").read_text()
    assert "Reported on no judged image" in page
    assert "Gambling: confidence of 2 images" in page


def test_a_report_says_beside_a_forecast_that_its_policy_is_of_another_model(make) -> None:
    policy = tk.Policy({"Gambling": tk.Rule(block=80)}, {"results": {"models": ["7.0"]}})
    runs = {"now": make.results({"Gambling": 90}), "later": make.results({"Gambling": 90}, model_version="7.1")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor is it said anywhere else
        tk.write_report(make.folder / "r.html", runs, policy=policy)
    text = (make.folder / "r.html").read_text()
    assert text.count("chosen on answers of model 7.0") == 1
    assert "later: this policy was chosen" in text


def test_a_report_names_its_samples_and_calls_weighted_rates_so(make) -> None:
    results, truth = run(make)
    weights = pd.Series([1.0, 2, 1, 2, 1, 2, 1], index=truth.table["source_ref"])
    for given, count in ((truth, 0), (replace(truth, weights=weights, source="<mine>.csv"), 3)):
        policy = tk.Policy({"Gambling": tk.Rule(block=90)})
        tk.write_report(make.folder / "r.html", {"run": results}, given, policy=policy)
        page = (make.folder / "r.html").read_text()
        assert ("stands for its own number of images" in page) == bool(count)
        assert len(re.findall(r"(recall|Average precision) [^<]*? \(weighted\)", page)) == count
    assert "Labelled samples: <code>&lt;mine&gt;.csv</code>, 7 judged images." in page
