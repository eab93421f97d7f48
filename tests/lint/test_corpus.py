"""Real public bugs are named by the right rule; their mended twins raise no error."""

import pytest
import torch
from corpus import CASES, CLEAN, gradient_designs, lookalikes, training
from corpus.reported import (
    fifth_dense_near,
    fifth_sequences_meant,
    fifth_sequences_published,
    fourth_meant,
    idle_parts,
    seventh_images_meant,
    seventh_streams_blocks,
    seventh_streams_designs,
    seventh_streams_meant,
    seventh_streams_proteins,
    seventh_streams_series,
    sixth_asked_designs,
    sixth_asked_meant,
    sixth_published,
)

from torchskip.lint.check import check


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_real_bug_is_named(case):
    torch.manual_seed(0)
    report = check(case.buggy(), *case.example(), select=[case.rule])
    assert case.rule in {finding.code for finding in report.findings}, case.reference


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_its_mended_twin_is_not(case):
    torch.manual_seed(0)
    report = check(case.mended(), *case.example(), select=[case.rule, "TS1"])
    wrong = [f for f in report.findings if f.code == case.rule or f.severity == "error"]
    assert wrong == []


@pytest.mark.parametrize("clean", CLEAN, ids=lambda c: c.name)
def test_a_correct_model_has_no_error(clean):
    torch.manual_seed(0)
    report = check(clean.model(), *clean.example(), select=["TS1"])
    assert [f for f in report.findings if f.severity == "error"] == [], clean.why


@pytest.mark.parametrize(
    "clean",
    [
        *gradient_designs.CLEAN,
        *lookalikes.CLEAN,
        *training.CLEAN,
        *fourth_meant.CLEAN,
        *fifth_sequences_meant.CLEAN,
        *fifth_sequences_published.CLEAN,
        *fifth_dense_near.CLEAN,
        *sixth_asked_designs.CLEAN,
        *sixth_asked_meant.CLEAN,
        *sixth_published.CLEAN,
        *seventh_images_meant.CLEAN,
        *seventh_streams_blocks.CLEAN,
        *seventh_streams_designs.CLEAN,
        *seventh_streams_meant.CLEAN,
        *seventh_streams_proteins.CLEAN,
        *seventh_streams_series.CLEAN,
        *idle_parts.CLEAN,
    ],
    ids=lambda c: c.name,
)
def test_what_is_meant_has_no_warning(clean):
    torch.manual_seed(0)
    report = check(clean.model(), *clean.example(), select=["TS1", "TS2"])
    assert [f for f in report.findings if f.severity != "note"] == [], clean.why


def test_names_are_unique():
    names = [c.name for c in (*CASES, *CLEAN)]
    assert len(names) == len(set(names))
