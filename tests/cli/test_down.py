def test_down_without_a_pool_says_so(ask) -> None:
    said = ask("down")
    assert (said.code, said.out) == (0, "no pool was up\n")
