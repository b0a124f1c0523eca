from __future__ import annotations

from train import document


def test_the_page_says_what_the_cards_say() -> None:
    assert document.PAGE.read_text(encoding="utf-8") == document.page(document.cards()), (
        "run PYTHONPATH=node:models python -m train.document"
    )
