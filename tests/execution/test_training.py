"""Networks of a campaign: finished runs keep theirs, with their numbers; new ones take it."""

import shutil

import pytest

from uemdask.cube import STAGES, Run
from uemdask.execution import campaign_status, preview
from uemdask.simulate import scenario, simulate, write_acquisition

RUNS = ({"raw": "raw"}, {"raw": "other"})
OTHER_LABELS = {"label": {"methods": ["farneback"], "base": False}}
#: A run is finished for these tests when it has its network.
UNTIL = STAGES[: STAGES.index("train") + 1]


@pytest.fixture(scope="module", name="plan")
def _plan_quickly(plan, quick):
    """Return a function that plans runs, with a training on their labels alone."""
    fast = {"train": quick["train"] | {"exact_share": 0.0}}

    def planned(folder, parameters=None, **more):
        return plan(folder, parameters=fast | (parameters or {}), **more)

    return planned


@pytest.fixture(scope="module", name="_pair")
def _pair_once(plan, drive, tmp_path_factory):
    """Two runs with one network, made once."""
    folder = tmp_path_factory.mktemp("pair") / "work"
    for seed, name in enumerate(("raw", "other")):
        made = simulate(scenario("plane", shape=(64, 64), frames=40, seed=seed))
        write_acquisition(made, folder / name)
    done = drive(plan(folder, runs=RUNS), only=UNTIL)
    assert done.outcome.done == ["raw", "other"], done.outcome.failed
    assert done.stages["train"] == 1
    return folder


@pytest.fixture(name="pair")
def _copy(_pair, tmp_path):
    return shutil.copytree(_pair, tmp_path / "pair")


def train(folder, name):
    record = Run(folder / "results" / f"{name}.zarr").stage("train")
    record["results"].pop("model")  # where it lies is another matter
    return record


def networks(plan):
    return {run.run: run.network for run in preview(plan, only=UNTIL).runs}


def test_a_mended_run_takes_the_network_that_is_there(pair, plan, drive):
    before = train(pair, "raw")
    assert before["results"]["trained"]
    mended = plan(pair, runs=[RUNS[0], RUNS[1] | {"parameters": OTHER_LABELS}])
    assert networks(mended) == {"raw": "kept", "other": "existing"}
    done = drive(mended, only=UNTIL)
    assert done.outcome.done == ["raw", "other"], done.outcome.failed
    assert done.stages["train"] == 0
    assert train(pair, "raw") == before
    after = train(pair, "other")["results"]
    assert after["model_digest"] == before["results"]["model_digest"]
    assert after["existing"]  # not trained on the labels that this run has now
    assert "existing" not in before["results"]
    assert [status.took_model for status in campaign_status(mended)] == [False, True]
    assert networks(mended) == {"raw": "kept", "other": "kept"}
    assert drive(mended, only=UNTIL).tasks == []


def test_a_new_run_takes_it_too(pair, plan, drive):
    before = train(pair, "raw")
    shutil.copytree(pair / "raw", pair / "third")
    more = plan(pair, runs=[{"raw": "third"}, *RUNS])
    assert networks(more) == {"raw": "kept", "other": "kept", "third": "existing"}
    done = drive(more, only=UNTIL)
    assert sorted(done.outcome.done) == ["other", "raw", "third"], done.outcome.failed
    assert done.stages["train"] == 0
    assert train(pair, "raw") == before


def test_retraining_is_for_all_runs(pair, plan, drive):
    mended = plan(pair, runs=[RUNS[0], RUNS[1] | {"parameters": OTHER_LABELS}])
    again = mended.model_copy(update={"retrain": True})
    assert networks(again) == {"raw": "trained", "other": "trained"}
    assert preview(again, only=UNTIL).runs[0].to_do["train"] == "retraining is asked for"
    done = drive(again, only=UNTIL)
    assert done.outcome.done == ["raw", "other"]
    assert done.stages["train"] == 1
    assert train(pair, "raw")["results"] == train(pair, "other")["results"]
    assert drive(again, only=UNTIL).tasks == []  # it has been done
    assert drive(mended, only=UNTIL).tasks == []


def test_other_settings_of_the_training_are_for_all_runs(pair, plan, drive, quick):
    training = quick["train"] | {"training": quick["train"]["training"] | {"seed": 5}}
    changed = plan(pair, runs=RUNS, parameters={"train": training | {"exact_share": 0.0}})
    assert networks(changed) == {"raw": "trained", "other": "trained"}
    assert drive(changed, only=("train",)).stages == {"train": 1}


def test_where_all_labels_change_there_is_a_network_of_them(pair, plan):
    assert set(networks(plan(pair, runs=RUNS, parameters=OTHER_LABELS)).values()) == {"trained"}


def test_where_the_network_is_gone_that_is_said_and_finished_runs_stay(pair, plan, drive):
    before = train(pair, "raw")
    shutil.rmtree(pair / "results" / "models")
    assert drive(plan(pair, runs=RUNS), only=UNTIL).tasks == []
    mended = plan(pair, runs=[RUNS[0], RUNS[1] | {"parameters": OTHER_LABELS}])
    (fault,) = (run.fault for run in preview(mended, only=UNTIL).broken)
    done = drive(mended, only=UNTIL)
    assert done.outcome.done == ["raw"]
    assert done.outcome.failed == {"other": fault}
    assert "campaign.pt: the network of the finished runs is gone" in fault
    assert "`retrain=True`" in fault
    assert train(pair, "raw") == before


def test_a_run_alone_is_trained_on_what_it_is_now(pair, plan):
    assert networks(plan(pair, runs=[RUNS[0]], parameters=OTHER_LABELS)) == {"raw": "trained"}
    assert networks(plan(pair, runs=[RUNS[0]])) == {"raw": "kept"}
