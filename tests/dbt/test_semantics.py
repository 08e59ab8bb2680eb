"""Metrics as MetricFlow answers them, compared with the marts that they are about."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from dbt.adapters.factory import get_adapter_by_type
from dbt.contracts.graph.semantic_manifest import SemanticManifest
from dbt_metricflow.cli.dbt_connectors.adapter_backed_client import AdapterBackedSqlClient
from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow_semantics.model.dbt_manifest_parser import (
    parse_manifest_from_dbt_generated_manifest,
)
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

from activecampaign_dagster.streams.registry import CORE
from tests.dbt.conftest import NOW

pytestmark = pytest.mark.slow

LATER = NOW + timedelta(days=3)
NAMES = {"title", "firstName", "lastName", "username"}
STREAMS = (
    *CORE,
    "lists",
    "contact_lists",
    "forms",
    "automations",
    "contact_automations",
    "ecommerce_connections",
    "ecommerce_customers",
    "ecommerce_orders",
)
OPEN = "is_counted and status = 'open'"
WON = "is_counted and status = 'won'"
DECIDED = "is_counted and status in ('won', 'lost')"
CREATED = "deals where is_counted"
LAST_DAY = "pipeline_daily where day = (select max(day) from marts.pipeline_daily)"
TRACKED = "campaign_performance where are_opens_tracked"
SENT = "campaign_performance where sent_date is not null"

# each metric, what it is grouped by, and the same of the mart: the group, the figure and the rows
METRICS = [
    ("deals_created", "deal__owner", "owner_id", "count(*)", CREATED),
    ("deals_won", "deal__closed_owner", "closed_owner_id", "count(*)", f"deals where {WON}"),
    ("deals_decided", "deal__pipeline", "pipeline_id", "count(*)", f"deals where {DECIDED}"),
    ("win_rate", "deal__pipeline", "pipeline_id", "avg(if(status = 'won', 1, 0))",
     f"deals where {DECIDED}"),
    ("sales_cycle", "deal__pipeline", "pipeline_id", "median(days_to_close)", CREATED),
    ("average_sales_cycle", "deal__stage", "stage_id", "avg(days_to_close)", CREATED),
    ("pipeline_value", "deal__stage", "stage_id", "sum(value)",
     f"deals where {OPEN} and currency = 'USD'"),
    ("won_value", "deal__pipeline", "pipeline_id", "sum(won_value)",
     "deals_monthly where currency = 'USD'"),
    ("open_deals", "pipeline_day__stage", "stage_id", "sum(open_deals)", LAST_DAY),
    ("open_value", "pipeline_day__stage", "stage_id", "sum(open_value)",
     f"{LAST_DAY} and currency = 'USD'"),
    ("stage_visits", "visit__stage", "stage_id", "count(*)", "deal_stage_history"),
    ("days_in_stage", "visit__stage", "stage_id", "median(days)",
     "deal_stage_history where not is_current"),
    ("list_subscriptions", "membership__list", "list_id", "count(subscribed_at)",
     "list_memberships"),
    ("list_unsubscriptions", "membership__list", "list_id", "count(*)",
     "list_memberships where status = 'unsubscribed'"),
    ("subscribed_contacts", "membership__list", "list_id", "count(*)",
     "list_memberships where is_subscribed"),
    ("mails_sent", "campaign", "campaign_id", "sum(sends)", "campaign_performance"),
    ("mails_tracked", "campaign", "campaign_id", "sum(sends)", TRACKED),
    ("mails_opened", "campaign", "campaign_id", "sum(unique_opens)", TRACKED),
    ("mails_opened_verified", "campaign", "campaign_id", "sum(verified_unique_opens)", TRACKED),
    ("mails_clicked", "campaign", "campaign_id", "sum(clickers)", "campaign_performance"),
    ("mails_bounced", "campaign", "campaign_id", "sum(bounces)", "campaign_performance"),
    ("campaign_unsubscriptions", "campaign", "campaign_id", "sum(unsubscribes)",
     "campaign_performance"),
    ("open_rate", "campaign", "campaign_id", "any_value(open_rate)", SENT),
    ("verified_open_rate", "campaign", "campaign_id", "any_value(verified_open_rate)", SENT),
    ("click_rate", "campaign", "campaign_id", "any_value(click_rate)", SENT),
    ("bounce_rate", "campaign", "campaign_id", "any_value(bounce_rate)", SENT),
    ("unsubscribe_rate", "campaign", "campaign_id", "any_value(unsubscribe_rate)", SENT),
    ("purchases", "shop_order__shop", "connection_id", "count(*)", "orders where is_purchase"),
    ("abandoned_carts", "shop_order__shop", "connection_id", "count(*)",
     "orders where is_abandoned_cart"),
    ("revenue", "shop_order__shop", "connection_id", "sum(total_price)",
     "orders where is_purchase and currency = 'USD'"),
    ("average_order_value", "shop_order__shop", "connection_id", "avg(total_price)",
     "orders where is_purchase and currency = 'USD'"),
    ("abandoned_value", "shop_order__shop", "connection_id", "sum(total_price)",
     "orders where is_abandoned_cart and currency = 'USD'"),
    ("automation_entries", "automation_month__automation", "automation_id", "sum(entered)",
     "automation_performance"),
    ("automation_completions", "automation_month__automation", "automation_id",
     "sum(completed)", "automation_performance"),
    ("automation_completion_rate", "automation_month__automation", "automation_id",
     "sum(completed) / sum(entered)", "automation_performance"),
]  # fmt: skip


@pytest.fixture(scope="module")
def namesakes(make_observed):
    """An account in which two pipelines, two owners and two stages have the same name, deals and
    orders are in several currencies, mails bounced, a deal moved between two syncs and two that
    were won were edited."""
    observed = make_observed(5, contacts=60, deals=60, field_values=0)
    for collection in ("dealGroups", "users", "dealStages"):
        first, second = list(observed.account.truth(collection).items())[:2]
        names = {name: first[1][name] for name in NAMES & first[1].keys()}
        observed.account.update_record(collection, second[0], **names)
    for order in list(observed.account.truth("ecomOrders"))[::3]:
        observed.account.update_record("ecomOrders", order, currency="EUR")
    for campaign in list(observed.account.truth("campaigns"))[::3]:
        observed.account.bump_campaign(campaign, hardbounces=3, unsubscribes=2)
    deal, *sold = (observed.account.add_deal(currency=each) for each in ("usd", "usd", "eur"))
    for each in sold:
        observed.account.win_deal(each)
    observed.sync(at=NOW, streams=STREAMS)
    observed.dbt.build("+deal_stage_history")
    observed.clock.now = LATER
    observed.account.move_deal(deal, observed.account.stages_of(1)[1])
    for deal in sold:
        observed.account.update_deal(deal, value=12_345_600, currency="usd")
    observed.sync(at=LATER, streams=STREAMS)
    marts = {rows.split()[0] for *_, rows in METRICS}
    observed.dbt.build(*(f"+{mart}" for mart in sorted(marts)))
    return observed


@pytest.fixture(scope="module")
def query(namesakes, tmp_path_factory):
    """Asks MetricFlow for a metric: its values by the group."""
    return asking(namesakes, tmp_path_factory.mktemp("semantics"))


def asking(namesakes, folder, **variables):
    path = folder / "semantic_manifest.json"
    SemanticManifest(namesakes.dbt.parsed(json.dumps(variables))).write_json_to_file(str(path))
    semantic_manifest = parse_manifest_from_dbt_generated_manifest(path.read_text())
    engine = MetricFlowEngine(
        semantic_manifest_lookup=SemanticManifestLookup(semantic_manifest),
        sql_client=AdapterBackedSqlClient(get_adapter_by_type("duckdb")),
    )

    def ask(metric, group=None):
        request = MetricFlowQueryRequest.create(
            metric_names=[metric],
            group_by_names=[group] if group else [],
        )
        rows = namesakes.dbt.rows(engine.explain(request).sql_statement.sql)
        return {row.get(group): row[metric] for row in rows}

    return ask


def told(figures):
    """Figures by group, without groups that have none or nothing."""
    return {group: pytest.approx(float(figure)) for group, figure in figures.items() if figure}


@pytest.mark.parametrize(
    ("metric", "group", "column", "figure", "rows"), METRICS, ids=[each[0] for each in METRICS]
)
def test_a_metric_says_what_its_mart_says(namesakes, query, metric, group, column, figure, rows):
    mart = namesakes.dbt.rows(
        f"select account || '/' || {column} as key, {figure} as figure "
        f"from marts.{rows} group by key"
    )
    expected = {row["key"]: row["figure"] for row in mart}
    assert told(query(metric, group)) == told(expected) != {}


def test_every_metric_is_compared_with_its_mart(manifest):
    names = {metric["name"] for metric in manifest["metrics"].values()}
    assert names == {metric for metric, *_ in METRICS}


@pytest.mark.parametrize(
    ("metric", "currency"),
    [
        ("pipeline_value", "deal__currency"),
        ("won_value", "deal__closed_currency"),
        ("open_value", "pipeline_day__currency"),
        ("revenue", "shop_order__currency"),
        ("average_order_value", "shop_order__currency"),
        ("abandoned_value", "shop_order__currency"),
    ],
)
def test_amounts_of_other_currencies_are_never_added(query, metric, currency):
    by_currency = query(metric, currency)
    assert {name for name, amount in by_currency.items() if amount} == {"USD"}
    assert len(by_currency) > 1
    assert query(metric) == {None: by_currency["USD"]}


def test_a_variable_chooses_the_currency(namesakes, tmp_path):
    query = asking(namesakes, tmp_path, metrics_currency="EUR")
    [mart] = namesakes.dbt.rows(
        "select sum(total_price) as revenue from marts.orders "
        "where is_purchase and currency = 'EUR'"
    )
    assert query("revenue")[None] == mart["revenue"] > 0


def test_every_measure_of_an_amount_is_of_one_currency(manifest):
    """So that a new one cannot forget it."""
    for model in manifest["semantic_models"].values():
        for measure in model["measures"]:
            if re.search("value|price", measure["expr"] or measure["name"]):
                assert "currency = 'USD'" in measure["expr"], measure["name"]


def test_the_open_pipeline_of_a_month_is_that_of_its_last_day(namesakes, query):
    mart = namesakes.dbt.rows(
        "select date_trunc('month', day) as key, sum(open_deals) as figure "
        "from marts.pipeline_daily "
        "where day = (select max(day) from marts.pipeline_daily) or day = last_day(day) "
        "group by key"
    )
    expected = {row["key"]: row["figure"] for row in mart}
    assert told(query("open_deals", "metric_time__month")) == told(expected)
    assert len(expected) > 12


@pytest.mark.parametrize("entity", ["pipeline", "stage", "owner"])
def test_deals_are_grouped_by_id_so_that_two_of_one_name_stay_two(query, entity):
    by_id = query("deals_created", f"deal__{entity}")
    by_name = query("deals_created", f"deal__{entity}_name")
    assert len(by_name) < len(by_id)
    assert sum(by_name.values()) == sum(by_id.values())


def test_each_name_has_an_entity_to_group_by(manifest):
    for model in manifest["semantic_models"].values():
        entities = {entity["name"] for entity in model["entities"]}
        names = {each["name"] for each in model["dimensions"] if each["name"].endswith("_name")}
        assert {name.removesuffix("_name") for name in names} <= entities, model["name"]
