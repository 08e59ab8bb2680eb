import shutil
from tests.dbt import test_true_history as t


def test_zz(make_observed, monkeypatch):
    from tests.dbt.conftest import Dbt

    orig = Dbt.build

    def build(self, *a, **k):
        if k.get("tests"):
            shutil.copy(self.database, "/tmp/life.duckdb")
            return None
        return orig(self, *a, **k)

    monkeypatch.setattr(Dbt, "build", build)
    t.lived(t.STORIES[0], make_observed)
