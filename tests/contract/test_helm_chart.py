"""The chart, by Helm's own code and a strict validator of Kubernetes' types: what it renders is taken, what is wrong refused."""

import base64
import json
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from agentvoicebox import __version__
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.supervisor.roles import GATEWAY_DRAIN_S, ROLES, STORES, WORKER_DRAIN_S, children, needs

pytestmark = pytest.mark.requirement("A17")

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "agentvoicebox"
OLDEST, NEWEST = "1.27.0", kubernetes_validate.latest_version()
EVERYTHING: dict[str, Any] = {
    "image": {"registry": "registry.example/voice", "pullSecrets": ["pull"]},
    "languageModel": {"AVB_LLM": "groq/a-model"},
    "history": {"AVB_HISTORY_WORDS": "encrypt"},
    "roles": {
        **{name: {"autoscaling": {"enabled": True}} for name in ("gateway", "tts", "llm", "tool", "recorder")},
        "stt": {"gpu": True, "autoscaling": {"enabled": True}},
        "webhook": {"enabled": True},
        "telephony": {
            "enabled": True,
            "settings": {"AVB_TELEPHONY": "twilio,asterisk", "AVB_TELEPHONY_URL": "https://phone.example"},
        },
        "webrtc": {"enabled": True, "settings": {"AVB_WEBRTC_PUBLIC_ADDRESS": "203.0.113.7"}},
    },
    "ingress": {"enabled": True, "className": "nginx", "host": "voice.example", "tlsSecret": "voice-tls"},
    "nodeSelector": {"pool": "voice"},
    "tolerations": [{"key": "voice", "operator": "Exists"}],
    "podAnnotations": {"team": "voice"},
}

SECRETS = {
    "AVB_REDIS_URL": "rediss://:hush@store:6379/0",
    "AVB_POSTGRES_URL": "postgresql://agentvoicebox:hush@records/agentvoicebox",
    "AVB_HISTORY_KEYS": base64.b64encode(bytes(32)).decode(),
    "AVB_LLM_KEYS": "",
}

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def chart() -> helm.Chart:
    return helm.Chart.load(CHART)


def rendered(chart: helm.Chart, values: dict[str, Any] | None = None) -> list[Manifest]:
    # As `helm install` does; `render` alone does not ask the schema.
    chart.validate_schema(chart.merge_values(values or {}))
    files = chart.render(values or {}, name="voice", namespace="calls")
    return [
        each
        for name, text in files.items()
        if not name.endswith("NOTES.txt")
        for each in yaml.safe_load_all(text)
        if each
    ]


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {
        each["metadata"]["name"].removeprefix("voice-agentvoicebox-"): each
        for each in manifests
        if each["kind"] == kind
    }


def container(deployment: Manifest) -> Manifest:
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def environment(deployment: Manifest) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container(deployment)["env"]}


def test_helm_lints_it_without_a_warning() -> None:
    for values in ({}, EVERYTHING):
        report = helm.lint(CHART, values, strict=True)
        assert [each for each in report["messages"] if each["severity"] > 1] == [] and not report["errors"]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_kubernetes_takes_every_manifest(chart: helm.Chart, values: dict[str, Any], version: str) -> None:
    manifests = rendered(chart, values)
    assert len(manifests) > 15
    for each in manifests:
        kubernetes_validate.validate(each, version, strict=True)


def test_the_validator_sees_a_misspelt_field(chart: helm.Chart) -> None:
    gateway = of_kind(rendered(chart), "Deployment")["gateway"]
    gateway["spec"]["replicass"] = gateway["spec"].pop("replicas")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(gateway, NEWEST, strict=True)


@pytest.mark.parametrize(
    "values",
    [
        {"roles": {"gateway": {"replicas": 0}}},
        {"roles": {"gateway": {"replicas": "two"}}},
        {"roles": {"gatewy": {"replicas": 2}}},
        {"roles": {"tts": {"gpu": True}}},
        {"settings": {"max_calls": "5"}},
        {"settings": {"AVB_API_KEYS": "in-plain-sight"}},
        {"roles": {"gateway": {"settings": {"AVB_REDIS_URL": "redis://:hush@store"}}}},
        {"languageModel": {"AVB_LLM_API_KEY": "in-plain-sight"}},
        {"existingSecret": ""},
        {"ingress": {"enabled": True}},
        {"service": {"type": "Balancer"}},
        {"networkPolicy": {"storePorts": []}},
        {"preStopSeconds": 0},
        {"imagee": {}},
    ],
    ids=lambda values: json.dumps(values)[:60],
)
def test_wrong_values_and_secrets_in_plain_sight_are_refused(chart: helm.Chart, values: dict[str, Any]) -> None:
    with pytest.raises(helm.HelmError):
        rendered(chart, values)


def test_there_is_a_deployment_for_every_role_and_its_settings_are_real_ones(chart: helm.Chart) -> None:
    deployments = of_kind(rendered(chart, EVERYTHING), "Deployment")
    assert set(deployments) == set(ROLES)
    for role, deployment in deployments.items():
        assert container(deployment)["args"] == ["serve", "--role", role]
        # With the secrets that it gets, and no others: a role that lacks one of those that its settings need does not start.
        given = {
            name.removeprefix("AVB_").lower(): value if isinstance(value, str) else SECRETS.get(name, "a-secret")
            for name, value in environment(deployment).items()
        }
        load_settings(**given)


def test_a_role_gets_the_stores_that_it_needs_and_no_secret_that_it_does_not_read(chart: helm.Chart) -> None:
    deployments = of_kind(rendered(chart, {"roles": {"webhook": {"enabled": True}}}), "Deployment")
    secrets = {
        role: {name: value["secretKeyRef"] for name, value in environment(each).items() if isinstance(value, dict)}
        for role, each in deployments.items()
    }
    for role, references in secrets.items():
        assert {each["name"] for each in references.values()} == {"agentvoicebox"}
        for store in STORES:
            needed = bool(needs(store, children([role]), load_settings()))
            reference = references.get(f"AVB_{store.upper()}")
            assert (reference is not None) is needed and not (reference or {}).get("optional"), (role, store)
    assert set(secrets["stt"]) == set(secrets["tts"]) == {"AVB_REDIS_URL"}
    assert {role for role, each in secrets.items() if "AVB_API_KEYS" in each} == {"gateway", "webhook"}


def test_a_pod_that_ends_has_the_time_to_hand_its_calls_over(chart: helm.Chart) -> None:
    for role, deployment in of_kind(rendered(chart, {"preStopSeconds": 9}), "Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        assert container(deployment)["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "9"]
        drain_s = GATEWAY_DRAIN_S if role == "gateway" else WORKER_DRAIN_S
        assert pod["terminationGracePeriodSeconds"] >= 9 + drain_s + 5
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_pods_are_ordinary_users_who_can_write_nothing_but_data(chart: helm.Chart) -> None:
    for deployment in of_kind(rendered(chart, EVERYTHING), "Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        own = container(deployment)["securityContext"]
        assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
        assert (
            own["readOnlyRootFilesystem"]
            and not own["allowPrivilegeEscalation"]
            and own["capabilities"] == {"drop": ["ALL"]}
        )
        assert {each["mountPath"] for each in container(deployment)["volumeMounts"]} == {"/data", "/tmp"}
        assert "memory" in container(deployment)["resources"]["limits"]


def test_every_role_is_probed_at_its_internal_port(chart: helm.Chart) -> None:
    ports = {"gateway": 8003, "webhook": 8002}
    for role, deployment in of_kind(rendered(chart, EVERYTHING), "Deployment").items():
        declared = {each["name"]: each["containerPort"] for each in container(deployment)["ports"]}
        assert declared["internal"] == ports.get(role, 8004)
        assert environment(deployment)["AVB_INTERNAL_HOST"] == "0.0.0.0"
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container(deployment)[probe]["httpGet"]["port"] == "internal"


def test_workers_scale_by_the_age_of_their_queue_and_gateways_by_calls(chart: helm.Chart) -> None:
    manifests = rendered(chart, EVERYTHING)
    scalers = of_kind(manifests, "HorizontalPodAutoscaler")
    assert set(scalers) == {"gateway", "stt", "tts", "llm", "tool", "recorder"}
    (calls,) = scalers["gateway"]["spec"]["metrics"]
    assert calls["pods"] == {
        "metric": {"name": "avb_connections"},
        "target": {"type": "AverageValue", "averageValue": "60"},
    }
    kinds = {
        role: scaler["spec"]["metrics"][0]["external"]["metric"]["selector"]["matchLabels"]["kind"]
        for role, scaler in scalers.items()
        if role != "gateway"
    }
    assert kinds == {"stt": "stt", "tts": "tts", "llm": "llm", "tool": "tool", "recorder": "record"}
    deployments = of_kind(manifests, "Deployment")
    assert not [role for role in scalers if "replicas" in deployments[role]["spec"]]
    assert environment(deployments["gateway"])["AVB_GATEWAYS"] == "10"  # the most that may share the limits
    assert [each["value"] for each in scalers["gateway"]["spec"]["behavior"]["scaleDown"]["policies"]] == [1]


def test_what_has_copies_keeps_all_but_one_of_them(chart: helm.Chart) -> None:
    budgets = of_kind(rendered(chart), "PodDisruptionBudget")
    assert set(budgets) == {"gateway", "stt", "tts", "llm", "tool", "recorder"}
    assert {each["spec"]["maxUnavailable"] for each in budgets.values()} == {1}


def test_only_gateways_are_reached_from_anywhere_and_metrics_only_by_the_monitoring(chart: helm.Chart) -> None:
    policies = of_kind(rendered(chart), "NetworkPolicy")
    assert set(policies) == set(ROLES) - {"webhook", "telephony", "webrtc"}
    for role, policy in policies.items():
        is_open = [rule["ports"][0]["port"] for rule in policy["spec"]["ingress"] if "from" not in rule]
        assert is_open == (["calls"] if role == "gateway" else [])
        assert [rule["ports"][0]["port"] for rule in policy["spec"]["ingress"] if "from" in rule] == ["internal"]
    to = {
        role: {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        for role, policy in policies.items()
    }
    assert to["stt"] == {53, 6379, 5432} and to["llm"] == {53, 6379, 5432, 443}


def test_media_of_browsers_have_ports_of_their_node_and_gateways_know_where_they_are(chart: helm.Chart) -> None:
    manifests = rendered(chart, EVERYTHING)
    deployments = of_kind(manifests, "Deployment")
    assert deployments["webrtc"]["spec"]["template"]["spec"]["hostNetwork"] is True
    assert "hostNetwork" not in deployments["gateway"]["spec"]["template"]["spec"]
    (url,) = environment(deployments["gateway"])["AVB_WEBRTC_URLS"].split(",")
    service = of_kind(manifests, "Service")["webrtc"]
    assert url == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    policy = of_kind(manifests, "NetworkPolicy")["webrtc"]["spec"]
    assert {"ports": [{"protocol": "UDP"}]} in policy["ingress"]


def test_a_gpu_gets_its_image_and_is_asked_for(chart: helm.Chart) -> None:
    stt = of_kind(rendered(chart, EVERYTHING), "Deployment")["stt"]
    assert container(stt)["image"] == f"registry.example/voice/stt-gpu:{__version__}"
    assert container(stt)["resources"]["limits"] == {"memory": "4Gi", "nvidia.com/gpu": 1}
    assert "nvidia.com/gpu" not in container(of_kind(rendered(chart), "Deployment")["stt"])["resources"]["limits"]


def test_the_charts_versions_are_the_programs() -> None:
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert described["version"] == described["appVersion"] == __version__


def test_telephone_calls_go_to_the_gateways_and_only_telephony_gets_their_secrets(chart: helm.Chart) -> None:
    manifests = rendered(chart, EVERYTHING)
    telephony = of_kind(manifests, "Deployment")["telephony"]
    assert environment(telephony)["AVB_TELEPHONY_GATEWAYS"] == "http://voice-agentvoicebox-gateway:80/v1"
    others = [each for role, each in of_kind(manifests, "Deployment").items() if role != "telephony"]
    assert not any("AVB_TWILIO_AUTH_TOKEN" in environment(each) for each in others)
    policy = of_kind(manifests, "NetworkPolicy")["telephony"]["spec"]
    assert [rule["ports"] for rule in policy["ingress"] if "from" not in rule] == [[{"port": "telephony"}]]
    assert [{"port": "calls"}] in [rule["ports"] for rule in policy["egress"] if "to" in rule]
