from hypothesis import given
from hypothesis import strategies as st

from toolkit import taxonomy

labels = st.sampled_from(sorted(taxonomy.PARENTS))


def test_the_tree_has_the_ten_top_labels_of_model_7() -> None:
    assert len(taxonomy.LEVEL_1) == 10
    assert all(taxonomy.level(label) == 1 for label in taxonomy.LEVEL_1)


@given(labels, labels)
def test_descendants_are_exactly_those_whose_ancestor_it_is(one: str, other: str) -> None:
    assert (other in taxonomy.descendants(one)) == (one in taxonomy.ancestors(other))


@given(labels)
def test_a_level_is_one_more_than_that_of_the_parent(label: str) -> None:
    parent = taxonomy.parent(label)
    assert taxonomy.level(label) == 1 if parent is None else taxonomy.level(label) == (taxonomy.level(parent) or 0) + 1


def test_a_label_that_aws_adds_without_notice_is_kept() -> None:
    assert taxonomy.canonical("Brand New Label") == "Brand New Label"
    assert taxonomy.level("Brand New Label") is None
    assert taxonomy.ancestors("Brand New Label") == taxonomy.descendants("Brand New Label") == ()


def test_the_older_spelling_is_the_same_label() -> None:
    assert taxonomy.parent("Drug & Tobacco Paraphernalia & Use") == "Drugs & Tobacco"
