"""Named accounts: which variables they are read from, where their maps come from, and what the file may not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio_relay.errors import AccountError, RelayError
from studio_relay.studio.account.environments import load_environments

DEV, PROD = "AC" + "1" * 32, "AC" + "2" * 32


def written(folder: Path, text: str) -> Path:
    file = folder / "studio-relay.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_variables_are_named_after_the_environment(tmp_path: Path) -> None:
    file = written(tmp_path, f'[environments.dev]\naccount_sid = "{DEV}"\n[environments.prod-eu]\n')
    environments = load_environments(file)
    dev = environments.named("dev").credentials({"TWILIO_DEV_AUTH_TOKEN": "hush"})
    assert (dev.account_sid, dev.user, dev.secret) == (DEV, DEV, "hush")
    variables = {"TWILIO_PROD_EU_ACCOUNT_SID": PROD, "TWILIO_PROD_EU_AUTH_TOKEN": "hush"}
    assert environments.named("prod-eu").credentials(variables).account_sid == PROD


def test_another_prefix_can_be_said(tmp_path: Path) -> None:
    file = written(tmp_path, '[environments.dev]\nprefix = "TWILIO_"\n')
    variables = {"TWILIO_ACCOUNT_SID": DEV, "TWILIO_AUTH_TOKEN": "hush"}
    assert load_environments(file).named("dev").credentials(variables).account_sid == DEV


def test_missing_secrets_name_environment_and_variable_and_show_none(tmp_path: Path) -> None:
    file = written(tmp_path, f'[environments.prod]\naccount_sid = "{PROD}"\n')
    with pytest.raises(AccountError, match=r"environment 'prod': TWILIO_PROD_AUTH_TOKEN: not set") as caught:
        load_environments(file).named("prod").credentials({"TWILIO_AUTH_TOKEN": "hush"})
    assert "hush" not in str(caught.value)


def test_two_accounts_for_one_environment_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, f'[environments.prod]\naccount_sid = "{PROD}"\n')
    variables = {"TWILIO_PROD_ACCOUNT_SID": DEV, "TWILIO_PROD_AUTH_TOKEN": "hush"}
    with pytest.raises(AccountError, match="another account"):
        load_environments(file).named("prod").credentials(variables)


def test_maps_stand_in_the_file_or_beside_it(tmp_path: Path) -> None:
    (tmp_path / "prod.map.toml").write_text('[replace]\n"dev" = "prod"\n')
    file = written(
        tmp_path,
        '[environments.prod]\nmap = "prod.map.toml"\n'
        '[environments.test.map.replace]\n"dev" = "test"\n'
        '[environments.test.map.widgets.person]\nto = "+15550100021"\n',
    )
    environments = load_environments(file)
    assert environments.named("prod").values.replace == {"dev": "prod"}
    assert environments.named("test").values.replace == {"dev": "test"}
    assert environments.named("test").values.widgets == {"person": {"to": "+15550100021"}}
    assert not environments.named("test").account_sid


def test_an_environment_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    file = written(tmp_path, "[environments.dev]\n[environments.prod]\n")
    with pytest.raises(AccountError, match=r"no environment 'prd'. Did you mean 'prod'\? It has: dev, prod"):
        load_environments(file).named("prd")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected tables such as"),
        ("environments = 3", "expected tables such as"),
        ("[environment.dev]", "Did you mean 'environments'"),
        ("[environments]\ndev = 3", "environments.dev: expected a table"),
        ("[environments.dev]\nacount_sid = 'AC'", "Did you mean 'account_sid'"),
        ("[environments.dev]\naccount_sid = 'AC12'", "account_sid: expected AC and 32"),
        ("[environments.dev]\nprefix = 'not a name'", "prefix: expected"),
        ("[environments.dev]\nprefix = 3", "prefix: expected"),
        ("[environments.dev]\nauth_token = 'hush'", "`auth_token` does not belong in a file"),
        ("[environments.dev]\nmap = 3", "map: expected the name"),
        ("[environments.dev]\nmap = 'absent.toml'", "absent.toml: cannot be read"),
        ("[environments.dev.map.replaces]", "no table 'replaces'"),
        ("[environments.dev", "cannot be read as TOML"),
    ],
)
def test_a_wrong_file_is_refused_in_words(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RelayError) as caught:
        load_environments(written(tmp_path, text))
    assert said in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(AccountError, match=r"there is no such file\. It names your accounts"):
        load_environments(tmp_path / "studio-relay.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    with pytest.raises(AccountError, match="cannot be read as TOML"):
        load_environments(tmp_path / "latin.toml")


def test_the_example_of_the_guide_is_read(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "studio_flows" / "README.md").read_text(encoding="utf-8")
    (text,) = (block for block in guide.split("```") if block.startswith("toml\n[environments."))
    (tmp_path / "prod.map.toml").write_text('[replace]\n"a" = "b"\n')
    environments = load_environments(written(tmp_path, text.removeprefix("toml\n")))
    assert list(environments.by_name) == ["dev", "prod", "test"]
    assert environments.named("dev").prefix == "TWILIO_"
    assert environments.named("test").values.widgets["person"] == {"to": "+15550100021"}
