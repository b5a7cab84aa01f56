from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from blemish.bundle import Manifest, Preprocessing, load_bundle, save_bundle
from blemish.bundle.store import DECISION, MANIFEST, sha256
from blemish.decision.decision import Decision
from blemish.decision.rules import Thresholds
from blemish.decision.store import stored_decision, write_decision
from blemish.errors import BlemishError


def manifest(**changes: object) -> Manifest:
    fields = {"method": "severity", "class_names": ("spot",), "preprocessing": Preprocessing(channels=1)}
    return Manifest.model_validate({**fields, **changes})


def tensors(value: float = 1.0) -> dict[str, np.ndarray]:
    return {
        "weight": np.full((2, 3), value, np.float32),
        "steps": np.array(7, np.int64),
        "mask": np.array([True, False]),
    }


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    save_bundle(tmp_path / "bundle", manifest(), {"one": tensors(), "two": tensors(2)})
    return tmp_path / "bundle"


def refusal(path: Path, **options: str) -> str:
    with pytest.raises(BlemishError) as caught:
        load_bundle(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def rewrite(bundle: Path, change: Callable[[dict], None]) -> None:
    """Change manifest.json in place."""
    fields = json.loads((bundle / MANIFEST).read_text())
    change(fields)
    (bundle / MANIFEST).write_text(json.dumps(fields))


def put(bundle: Path, name: str, data: bytes) -> None:
    """Place a file with the right hash."""
    (bundle / name).write_bytes(data)
    rewrite(bundle, lambda fields: fields["files"].update({name: sha256(data)}))


def test_what_is_saved_is_loaded(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert set(loaded.networks) == {"one", "two"}
    for name, array in tensors(2).items():
        found = loaded.networks["two"][name]
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    assert sorted(path.name for path in bundle.iterdir()) == [MANIFEST, "one.safetensors", "two.safetensors"]
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"], "no draft is left"


def test_files_are_plain_safetensors_with_their_sha256(bundle: Path) -> None:
    files = json.loads((bundle / MANIFEST).read_text())["files"]
    assert set(load_file(bundle / "one.safetensors")) == set(tensors())
    assert files["one.safetensors"] == sha256((bundle / "one.safetensors").read_bytes())


def test_the_id_follows_from_the_content(tmp_path: Path) -> None:
    one = save_bundle(tmp_path / "a", manifest(), {"net": tensors(1)})
    same = save_bundle(tmp_path / "b", manifest(), {"net": tensors(1)})
    other_weights = save_bundle(tmp_path / "c", manifest(), {"net": tensors(2)})
    other_threshold = save_bundle(tmp_path / "d", manifest(thresholds={"ng": 0.5}), {"net": tensors(1)})
    assert one.id == same.id == load_bundle(tmp_path / "a").id
    assert len({one.id, other_weights.id, other_threshold.id}) == 3
    assert one.id.startswith("severity-")


def test_when_it_was_made_does_not_change_the_id(tmp_path: Path) -> None:
    made = {"commit": "abc", "created": "2031-02-03T04:05:06+00:00", "seed": 1}
    later = {**made, "created": "2032-01-01T00:00:00+00:00"}
    bundles = [
        save_bundle(tmp_path / str(number), manifest(provenance=one), {"net": tensors()})
        for number, one in enumerate((made, later, {**made, "seed": 2}))
    ]
    assert bundles[0].id == bundles[1].id == load_bundle(tmp_path / "1").id
    assert bundles[0].id != bundles[2].id
    assert load_bundle(tmp_path / "1").manifest.provenance == later


def test_a_changed_byte_is_refused_before_it_is_parsed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safetensors.numpy.load", lambda data: pytest.fail("parsed before it was checked"))
    data = bytearray((bundle / "two.safetensors").read_bytes())
    data[-1] ^= 1
    (bundle / "two.safetensors").write_bytes(bytes(data))
    assert "two.safetensors was changed or damaged" in refusal(bundle)


def test_a_truncated_file_is_refused(bundle: Path) -> None:
    data = (bundle / "one.safetensors").read_bytes()
    (bundle / "one.safetensors").write_bytes(data[:-5])
    assert "SHA-256 is not the manifest's" in refusal(bundle)


def test_a_missing_file_is_refused(bundle: Path) -> None:
    (bundle / "one.safetensors").unlink()
    assert "one.safetensors is missing. Copy the whole bundle again." in refusal(bundle)


@pytest.mark.parametrize("name", ["notes.txt", "three.safetensors", "one.safetensors.pkl"])
def test_a_foreign_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).write_text("x")
    assert f"{name} is not listed in {MANIFEST}" in refusal(bundle)


def test_a_foreign_folder_is_refused(bundle: Path) -> None:
    (bundle / "code").mkdir()
    assert "code is not listed" in refusal(bundle)


@pytest.mark.parametrize(
    "name", ["../outside.safetensors", "/etc/outside.safetensors", "sub/one.safetensors", "..", "code.py", ""]
)
def test_file_names_that_leave_the_bundle_or_are_no_tensors_are_refused(bundle: Path, name: str) -> None:
    (bundle.parent / "outside.safetensors").write_bytes((bundle / "one.safetensors").read_bytes())
    rewrite(bundle, lambda fields: fields["files"].update({name: "0" * 64}))
    assert f"files must be names ending in .safetensors. Received: '{name}'." in refusal(bundle)


def test_a_pickle_under_a_tensors_name_with_the_right_hash_is_not_opened(
    bundle: Path, tmp_path: Path
) -> None:
    trap = tmp_path / "sprung"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(trap),))

    put(bundle, "one.safetensors", pickle.dumps(Trap()))
    assert "one.safetensors holds no safetensors data" in refusal(bundle)
    assert not trap.exists()


@pytest.mark.parametrize("data", [b"", b"\x08", b"\xff" * 64, b"\x02\x00\x00\x00\x00\x00\x00\x00{}trailing"])
def test_what_is_not_safetensors_data_is_refused(bundle: Path, data: bytes) -> None:
    put(bundle, "one.safetensors", data)
    assert "holds no safetensors data" in refusal(bundle)


def test_a_bundle_of_another_method_is_refused_when_one_is_asked_for(bundle: Path) -> None:
    assert load_bundle(bundle, method="severity").manifest.method == "severity"
    message = refusal(bundle, method="fewshot")
    assert "must be a bundle of method 'fewshot'. Received: 'severity'." in message


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    assert f"{tmp_path} is not a bundle: it has no {MANIFEST}" in refusal(tmp_path)
    assert "is not a bundle" in refusal(tmp_path / "nowhere")


def test_of_a_run_its_bundle_is_named(bundle: Path, tmp_path: Path) -> None:
    run = tmp_path / "a-run"
    shutil.copytree(bundle, run / "bundle")
    assert f"Give the one in it, {run / 'bundle'}." in refusal(run)


def test_a_manifest_of_other_bytes_than_text_is_refused(bundle: Path) -> None:
    (bundle / MANIFEST).write_bytes(b"\xff\xfe\x00")
    assert "manifest.json is not JSON" in refusal(bundle)


# Saving over a good bundle


def good(path: Path) -> bool:
    return float(load_bundle(path).networks["one"]["weight"][0, 0]) == 1.0


def save_second(bundle: Path) -> None:
    save_bundle(bundle, manifest(), {"one": tensors(9), "two": tensors(9)})


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_decision_that_names_the_stored_id_is_never_left_beside_another(bundle: Path) -> None:
    """A bundle that 0.1 wrote has another id than today's of the same content, and its decision names it."""
    rewrite(bundle, lambda fields: fields.update(scales={"severity": 80.0}))
    older = load_bundle(bundle)
    decision = Decision(revision=1, bundle=older.id, score=Thresholds(ng=0.5))
    write_decision(bundle / DECISION, decision)
    save_bundle(bundle, older.manifest, older.networks)
    assert stored_decision(bundle, bundle=load_bundle(bundle).id) is None


def test_the_second_save_replaces_the_first(bundle: Path) -> None:
    save_second(bundle)
    assert float(load_bundle(bundle).networks["one"]["weight"][0, 0]) == 9
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("call", ["os.fsync", "tempfile.mkdtemp", "pathlib.Path.rename"])
def test_a_full_disk_leaves_the_last_good_bundle(
    bundle: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(call, full_disk)
        with pytest.raises(BlemishError, match=r"bundle cannot be written: No space left on device\."):
            save_second(bundle)
    assert good(bundle)
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("failing_rename", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_whatever_stops_the_exchange_a_whole_bundle_stands(
    bundle: Path, failing_rename: int, error: BaseException, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two renames of the exchange, each stopped just before and just after it was done."""
    rename, calls = Path.rename, []

    def stopped(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == failing_rename and moment == "before":
            raise error
        result = rename(self, target)
        if len(calls) == failing_rename and moment == "after":
            raise error
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", stopped)
        with pytest.raises((BlemishError, KeyboardInterrupt)) as caught:
            save_second(bundle)
    assert isinstance(caught.value, KeyboardInterrupt) == isinstance(error, KeyboardInterrupt)
    value = float(load_bundle(bundle).networks["one"]["weight"][0, 0])
    assert value == (9 if (failing_rename, moment) == (2, "after") else 1)


def test_a_ctrl_c_while_writing_leaves_the_last_good_bundle(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", pressed)
        with pytest.raises(KeyboardInterrupt):
            save_second(bundle)
    assert good(bundle)
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_a_bundle_set_aside_by_a_killed_save_is_not_lost_when_the_next_save_fails(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the two renames leaves the good bundle under its retired name only."""
    bundle.rename(bundle.with_name(".bundle.old"))
    with monkeypatch.context() as patch:
        rename = Path.rename

        def only_back(self: Path, target: Path) -> Path:
            if self.name != ".bundle.old":
                full_disk()
            return rename(self, target)

        patch.setattr(Path, "rename", only_back)
        with pytest.raises(BlemishError):
            save_second(bundle)
    assert good(bundle)


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BlemishError, match=r"file.*bundle cannot be written: .*Choose another folder\."):
        save_bundle(tmp_path / "file" / "bundle", manifest(), {})


def test_a_bundle_can_be_copied_and_stays_itself(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "copy")
    assert load_bundle(tmp_path / "copy").id == load_bundle(bundle).id
