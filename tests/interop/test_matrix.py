"""docs/interop.md is what the matrix gives: a cell that comes out otherwise fails by name. `make interop` writes the page anew."""
import pytest
import matrix

PAGE = matrix.read()


@pytest.mark.parametrize("key,feature", [(k, f) for k in matrix.keys() for f in matrix.FEATURES], ids=lambda x: "-".join(x).replace(" ", "_") if isinstance(x, tuple) else x.replace(" ", "_"))
def test_cell(rows, key, feature):
    got = rows[key][feature]
    assert key in PAGE, "docs/interop.md has no such row: make interop"
    assert got.split("\n")[0] == PAGE[key][feature], got


@pytest.mark.parametrize("key", matrix.keys(), ids="-".join)
def test_no_cell_is_broken(rows, key):
    assert all(w in (matrix.WORKS, matrix.NONE) or w.startswith("refused: ") for w in rows[key].values()), rows[key]
