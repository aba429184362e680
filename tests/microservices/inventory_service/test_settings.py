import pytest

from microservices.inventory_service.settings import DEFAULT_STOCK, products_of


def test_stock_is_read() -> None:
    assert products_of(DEFAULT_STOCK) == {"prod-1": 100, "prod-2": 50, "prod-3": 25}
    assert products_of(" a = 0 ") == {"a": 0}


@pytest.mark.parametrize(
    ("stock", "reason"),
    [
        ("", "should be product=number"),
        ("prod-1", "'prod-1' should be product=number"),
        ("prod-1=", "should be product=number"),
        ("=5", "should be product=number"),
        ("prod-1=-1", "'prod-1=-1' should be product=number"),
        ("prod-1=1.5", "should be product=number"),
        ("prod-1=1e3", "should be product=number"),
        ("prod-1=٣", "should be product=number"),
        ("prod-1=5,", "'' should be product=number"),
        ("prod-1=5,prod-1=6", "prod-1 stands there twice"),
        ("prod-1=9999999999", "more than"),
        ("prod 1=5", "'prod 1' should be a product's id"),
        ("prod:1=5", "'prod:1' should be a product's id"),
        (f"{'x' * 65}=5", "should be a product's id: up to 64"),
    ],
)
def test_a_bad_stock_is_explained(stock: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        products_of(stock)
