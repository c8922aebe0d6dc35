import pytest

from jsonrpc_tm.app import create_service
from jsonrpc_tm.core.errors import ConfigurationError, Forbidden, Unauthenticated
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.rpc.method import Method, Registry
from jsonrpc_tm.rpc.method_rules import check_properties, resolve
from jsonrpc_tm.settings import Settings


async def _nothing(call) -> None:
    """Do nothing."""


def _registry(**rules) -> Registry:
    return Registry((Method(name, _nothing, rule=rule), "test") for name, rule in rules.items())


def _settings(**values) -> Settings:
    return Settings.defaults(**{f"authorization__{name}": value for name, value in values.items()})


def test_configuration_over_method_over_default() -> None:
    registry = _registry(ping="all", removeFile=("A", "B"), whoami=None, cleanTransformation=None)
    settings = _settings(
        default=["C"], methods={"cleanTransformation": ["ProductionManagement"], "ping": "authenticated"}
    )
    assert resolve(settings, registry) == {
        "ping": "authenticated",
        "removeFile": ("A", "B"),
        "whoami": ("C",),
        "cleanTransformation": ("ProductionManagement",),
        # not a method, but a route
        "events": ("C",),
    }


def test_rules_cannot_be_changed() -> None:
    rules = resolve(_settings(), _registry(ping="all"))
    with pytest.raises(TypeError):
        rules["ping"] = "authenticated"  # type: ignore[index]


@pytest.mark.parametrize("rule", ["anyone", "", (), [], ("A", ""), 7])
def test_unknown_rule_of_a_plugin_stops_the_start(rule) -> None:
    with pytest.raises(ConfigurationError, match="method hello of test"):
        resolve(_settings(), _registry(hello=rule))


@pytest.mark.parametrize("rule", ["anyone", "", [], [""], None, 7])
def test_unknown_rule_in_the_configuration_stops_the_start(rule) -> None:
    with pytest.raises(ConfigurationError, match=r"authorization\.methods"):
        resolve(_settings(methods={"ping": rule}), _registry(ping="all"))
    with pytest.raises(ConfigurationError, match=r"authorization\.default"):
        resolve(_settings(default=rule), _registry(ping="all"))


def test_rule_for_a_method_that_does_not_exist_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"no method .pimg.*did you mean ping"):
        resolve(_settings(methods={"pimg": "all"}), _registry(ping="all"))


async def test_cleaning_is_an_admins_act_while_owners_keep_the_rest() -> None:
    rules = {"cleanTransformation": ["ProductionManagement"], "getTransformation": "all", "ping": ["ProductionUser"]}
    overrides = {"storage.url": "sqlite://:memory:", "authorization.methods": rules}
    owner, admin = Identity("alice", "g", ("ProductionSharing",)), Identity("root", "h", ("ProductionManagement",))
    async with create_service(None, {}, overrides) as service:
        await service.call(
            service.context(owner), "addTransformation", ["t", "d", "l", "Processing", "p", "Manual", ""]
        )
        with pytest.raises(Forbidden) as refused:
            await service.call(service.context(owner), "cleanTransformation", ["t"])
        assert refused.value.data == {"needs": ["ProductionManagement"]}
        await service.call(service.context(owner), "completeTransformation", ["t"])
        assert await service.call(service.context(admin), "cleanTransformation", ["t"]) == 1
        # and in both directions for other methods
        assert (await service.call(service.context(), "getTransformation", ["t"]))["Status"] == "Completed"
        with pytest.raises(Unauthenticated):
            await service.call(service.context(), "ping")
        with pytest.raises(Forbidden):
            await service.call(service.context(admin), "ping", [])


async def test_creating_obeys_the_configured_default() -> None:
    service = create_service(overrides={"authorization.default": ["ProductionManagement"]})
    assert service.rules["addTransformation"] == ("ProductionManagement",)
    own = {method.name for method in service.registry if method.rule not in (None, "default")}
    catalog = {"catalog.addFields", "catalog.addFiles", "catalog.setMetadata", "catalog.remove"}
    announcing = {"addFile", "addDirectory", "setMetadata", "removeFile"}
    assert own == {"ping", "echo", "rpc.discover", "whoami", *announcing, *catalog}


def test_a_list_of_properties_that_nobody_has_checked_is_no_open_door() -> None:
    visitor = Identity("vic", "visitors")
    with pytest.raises(Forbidden):
        check_properties("it", ["ProductionManagement"], visitor)  # type: ignore[arg-type]
