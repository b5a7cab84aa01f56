"""The first tables of the station, and the triggers that let some of them only grow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from blemish.station.database.append_only import trigger_statements

revision = "0001"
down_revision = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UtcTime = sa.DateTime(timezone=True)
Json = sa.JSON(none_as_null=True)
APPEND_ONLY = [
    "annotation",
    "annotation_set",
    "answer",
    "audit",
    "comparison",
    "dataset_item",
    "decision",
    "defect",
    "inspection",
    "line_event",
    "promotion",
    "review",
]


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "audit",
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("who", sa.String(length=80), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("object", sa.String(length=160), nullable=False),
        sa.Column("before", Json, nullable=True),
        sa.Column("after", Json, nullable=True),
        sa.Column("why", sa.String(length=2000), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_object"), "audit", ["object"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column("count", BigId, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "bundle",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("method", sa.String(length=40), nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("manifest", Json, nullable=False),
        sa.Column("certificate", Json, nullable=True),
        sa.Column("parent_id", sa.String(length=80), nullable=True),
        sa.Column("job_id", BigId, nullable=True),
        sa.Column("dataset_id", BigId, nullable=True),
        sa.Column("bytes", BigId, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("retired_at", UtcTime, nullable=True),
        sa.ForeignKeyConstraint(["parent_id"], ["bundle.id"], name=op.f("fk_bundle_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundle")),
    )
    op.create_table(
        "image",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("pixels_sha256", sa.String(length=64), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("channels", sa.Integer(), nullable=True),
        sa.Column("dtype", sa.String(length=16), nullable=True),
        sa.Column("bytes", BigId, nullable=False),
        sa.Column("file", sa.String(length=120), nullable=True),
        sa.Column("tiles", sa.String(length=8), nullable=False),
        sa.Column("keep_until", UtcTime, nullable=True),
        sa.Column("kept_because", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image")),
    )
    op.create_table(
        "line",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("source", Json, nullable=True),
        sa.Column("link", Json, nullable=True),
        sa.Column("deadline_ms", sa.Integer(), nullable=True),
        sa.Column("keep", Json, nullable=False),
        sa.Column("audit_share", sa.Double(), nullable=False),
        sa.Column("review_is_ng", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_line")),
        sa.UniqueConstraint("name", name=op.f("uq_line_name")),
    )
    op.create_table(
        "site_user",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=256), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("failed_logins", sa.Integer(), nullable=False),
        sa.Column("locked_until", UtcTime, nullable=True),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_user")),
        sa.UniqueConstraint("name", name=op.f("uq_site_user_name")),
    )
    op.create_table(
        "annotation_set",
        sa.Column("image_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("by", BigId, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["by"], ["site_user.id"], name=op.f("fk_annotation_set_by")),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_annotation_set_image_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotation_set")),
        sa.UniqueConstraint("image_id", "version", name=op.f("uq_annotation_set_image_id_version")),
    )
    op.create_table(
        "answer",
        sa.Column("line_id", BigId, nullable=False),
        sa.Column("seq", BigId, nullable=False),
        sa.Column("number", BigId, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("via", sa.String(length=80), nullable=False),
        sa.Column("ms", sa.Double(), nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["line_id"], ["line.id"], name=op.f("fk_answer_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answer")),
        sa.UniqueConstraint("line_id", "seq", name=op.f("uq_answer_line_id_seq")),
    )
    op.create_table(
        "dataset",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("choice", Json, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("frozen_at", UtcTime, nullable=True),
        sa.Column("by", BigId, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["by"], ["site_user.id"], name=op.f("fk_dataset_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset")),
        sa.UniqueConstraint("name", name=op.f("uq_dataset_name")),
    )
    op.create_table(
        "decision",
        sa.Column("bundle_id", sa.String(length=80), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("yaml", sa.Text(), nullable=False),
        sa.Column("by", BigId, nullable=True),
        sa.Column("why", sa.String(length=2000), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundle.id"], name=op.f("fk_decision_bundle_id")),
        sa.ForeignKeyConstraint(["by"], ["site_user.id"], name=op.f("fk_decision_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint("bundle_id", "revision", name=op.f("uq_decision_bundle_id_revision")),
    )
    op.create_table(
        "defect_class",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("colour", sa.String(length=7), nullable=False),
        sa.Column("definition", sa.String(length=4000), nullable=False),
        sa.Column("limit", Json, nullable=True),
        sa.Column("example_id", sa.String(length=64), nullable=True),
        sa.Column("counter_example_id", sa.String(length=64), nullable=True),
        sa.Column("retired_at", UtcTime, nullable=True),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(
            ["counter_example_id"], ["image.id"], name=op.f("fk_defect_class_counter_example_id")
        ),
        sa.ForeignKeyConstraint(["example_id"], ["image.id"], name=op.f("fk_defect_class_example_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_defect_class")),
        sa.UniqueConstraint("name", name=op.f("uq_defect_class_name")),
    )
    op.create_table(
        "ingest_place",
        sa.Column("line_id", BigId, nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("offset", BigId, nullable=False),
        sa.Column("number", BigId, nullable=False),
        sa.Column("last_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["line_id"], ["line.id"], name=op.f("fk_ingest_place_line_id")),
        sa.PrimaryKeyConstraint("line_id", name=op.f("pk_ingest_place")),
    )
    op.create_table(
        "job",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("args", Json, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("cancel_asked", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=80), nullable=True),
        sa.Column("lease_until", UtcTime, nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("pid_started", sa.String(length=40), nullable=True),
        sa.Column("progress", BigId, nullable=True),
        sa.Column("total", BigId, nullable=True),
        sa.Column("message", sa.String(length=400), nullable=True),
        sa.Column("folder", sa.String(length=200), nullable=False),
        sa.Column("result", Json, nullable=True),
        sa.Column("by", BigId, nullable=True),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("started_at", UtcTime, nullable=True),
        sa.Column("ended_at", UtcTime, nullable=True),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["by"], ["site_user.id"], name=op.f("fk_job_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index("ix_job_state", "job", ["state", "id"], unique=False)
    op.create_table(
        "line_event",
        sa.Column("line_id", BigId, nullable=False),
        sa.Column("number", BigId, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("text", sa.String(length=2000), nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["line_id"], ["line.id"], name=op.f("fk_line_event_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_line_event")),
        sa.UniqueConstraint("line_id", "number", name=op.f("uq_line_event_line_id_number")),
    )
    op.create_table(
        "part",
        sa.Column("line_id", BigId, nullable=False),
        sa.Column("serial", sa.String(length=200), nullable=False),
        sa.Column("lot", sa.String(length=200), nullable=False),
        sa.Column("first_at", UtcTime, nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["line_id"], ["line.id"], name=op.f("fk_part_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_part")),
        sa.UniqueConstraint("line_id", "serial", "lot", name=op.f("uq_part_line_id_serial_lot")),
    )
    op.create_index("ix_part_lot", "part", ["lot"], unique=False)
    op.create_table(
        "session",
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.Column("last_used", UtcTime, nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["site_user.id"], name=op.f("fk_session_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_session_secret_hash")),
    )
    op.create_index(op.f("ix_session_user_id"), "session", ["user_id"], unique=False)
    op.create_table(
        "token",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("line_id", BigId, nullable=True),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=True),
        sa.Column("last_used", UtcTime, nullable=True),
        sa.Column("revoked_at", UtcTime, nullable=True),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["line_id"], ["line.id"], name=op.f("fk_token_line_id")),
        sa.ForeignKeyConstraint(["user_id"], ["site_user.id"], name=op.f("fk_token_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_token_secret_hash")),
    )
    op.create_index(op.f("ix_token_user_id"), "token", ["user_id"], unique=False)
    op.create_table(
        "annotation",
        sa.Column("image_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("supersedes", BigId, nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("class_id", BigId, nullable=False),
        sa.Column("geometry", Json, nullable=False),
        sa.Column("mask", sa.LargeBinary(), nullable=True),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("by", BigId, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["by"], ["site_user.id"], name=op.f("fk_annotation_by")),
        sa.ForeignKeyConstraint(["class_id"], ["defect_class.id"], name=op.f("fk_annotation_class_id")),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_annotation_image_id")),
        sa.ForeignKeyConstraint(["supersedes"], ["annotation.id"], name=op.f("fk_annotation_supersedes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotation")),
        sa.UniqueConstraint("supersedes", name=op.f("uq_annotation_supersedes")),
    )
    op.create_index(op.f("ix_annotation_image_id"), "annotation", ["image_id"], unique=False)
    op.create_table(
        "comparison",
        sa.Column("a", sa.String(length=80), nullable=False),
        sa.Column("b", sa.String(length=80), nullable=False),
        sa.Column("dataset_id", BigId, nullable=True),
        sa.Column("line_id", BigId, nullable=True),
        sa.Column("from_seq", BigId, nullable=True),
        sa.Column("to_seq", BigId, nullable=True),
        sa.Column("doc", Json, nullable=False),
        sa.Column("job_id", BigId, nullable=True),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["a"], ["bundle.id"], name=op.f("fk_comparison_a")),
        sa.ForeignKeyConstraint(["b"], ["bundle.id"], name=op.f("fk_comparison_b")),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_comparison_dataset_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_comparison_job_id")),
        sa.ForeignKeyConstraint(["line_id"], ["line.id"], name=op.f("fk_comparison_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparison")),
    )
    op.create_table(
        "dataset_item",
        sa.Column("dataset_id", BigId, nullable=False),
        sa.Column("image_id", sa.String(length=64), nullable=False),
        sa.Column("annotation_version", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(length=8), nullable=False),
        sa.Column("group", sa.String(length=200), nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_dataset_item_dataset_id")),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_dataset_item_image_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_item")),
        sa.UniqueConstraint("dataset_id", "image_id", name=op.f("uq_dataset_item_dataset_id_image_id")),
    )
    op.create_table(
        "inspection",
        sa.Column("line_id", BigId, nullable=False),
        sa.Column("seq", BigId, nullable=False),
        sa.Column("number", BigId, nullable=False),
        sa.Column("part_id", BigId, nullable=False),
        sa.Column("image_id", sa.String(length=64), nullable=True),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("grade", sa.String(length=40), nullable=True),
        sa.Column("bundle_id", sa.String(length=80), nullable=False),
        sa.Column("decision_revision", sa.Integer(), nullable=True),
        sa.Column("runtime", Json, nullable=False),
        sa.Column("ms", Json, nullable=False),
        sa.Column("doc", Json, nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("audit", sa.Boolean(), nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_inspection_image_id")),
        sa.ForeignKeyConstraint(["line_id"], ["line.id"], name=op.f("fk_inspection_line_id")),
        sa.ForeignKeyConstraint(["part_id"], ["part.id"], name=op.f("fk_inspection_part_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection")),
        sa.UniqueConstraint("line_id", "seq", "shadow", name=op.f("uq_inspection_line_id_seq_shadow")),
    )
    op.create_index("ix_inspection_at", "inspection", ["at"], unique=False)
    op.create_index("ix_inspection_audit", "inspection", ["audit", "id"], unique=False)
    op.create_index("ix_inspection_bundle", "inspection", ["bundle_id", "id"], unique=False)
    op.create_index(op.f("ix_inspection_image_id"), "inspection", ["image_id"], unique=False)
    op.create_index("ix_inspection_line", "inspection", ["line_id", "id"], unique=False)
    op.create_index(op.f("ix_inspection_part_id"), "inspection", ["part_id"], unique=False)
    op.create_index("ix_inspection_verdict", "inspection", ["verdict", "id"], unique=False)
    op.create_table(
        "defect",
        sa.Column("inspection_id", BigId, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("class_name", sa.String(length=200), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("x0", sa.Double(), nullable=False),
        sa.Column("y0", sa.Double(), nullable=False),
        sa.Column("x1", sa.Double(), nullable=False),
        sa.Column("y1", sa.Double(), nullable=False),
        sa.Column("area", sa.Double(), nullable=False),
        sa.Column("length", sa.Double(), nullable=False),
        sa.Column("width", sa.Double(), nullable=False),
        sa.Column("severity", sa.Double(), nullable=True),
        sa.Column("mm", Json, nullable=True),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name=op.f("fk_defect_inspection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_defect")),
        sa.UniqueConstraint("inspection_id", "n", name=op.f("uq_defect_inspection_id_n")),
    )
    op.create_index("ix_defect_class", "defect", ["class_name", "inspection_id"], unique=False)
    op.create_table(
        "promotion",
        sa.Column("line_id", BigId, nullable=False),
        sa.Column("bundle_id", sa.String(length=80), nullable=True),
        sa.Column("decision_id", BigId, nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("by", BigId, nullable=True),
        sa.Column("approved_by", BigId, nullable=True),
        sa.Column("why", sa.String(length=2000), nullable=False),
        sa.Column("comparison_id", BigId, nullable=True),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["approved_by"], ["site_user.id"], name=op.f("fk_promotion_approved_by")),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundle.id"], name=op.f("fk_promotion_bundle_id")),
        sa.ForeignKeyConstraint(["by"], ["site_user.id"], name=op.f("fk_promotion_by")),
        sa.ForeignKeyConstraint(
            ["comparison_id"], ["comparison.id"], name=op.f("fk_promotion_comparison_id")
        ),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_promotion_decision_id")),
        sa.ForeignKeyConstraint(["line_id"], ["line.id"], name=op.f("fk_promotion_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion")),
    )
    op.create_index("ix_promotion_line_kind", "promotion", ["line_id", "kind", "id"], unique=False)
    op.create_table(
        "review",
        sa.Column("inspection_id", BigId, nullable=False),
        sa.Column("by", BigId, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("reason_code", sa.String(length=40), nullable=True),
        sa.Column("comment", sa.String(length=4000), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("supersedes", BigId, nullable=True),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["by"], ["site_user.id"], name=op.f("fk_review_by")),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name=op.f("fk_review_inspection_id")),
        sa.ForeignKeyConstraint(["supersedes"], ["review.id"], name=op.f("fk_review_supersedes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint("supersedes", name=op.f("uq_review_supersedes")),
    )
    op.create_index(op.f("ix_review_inspection_id"), "review", ["inspection_id"], unique=False)
    op.create_table(
        "review_lease",
        sa.Column("inspection_id", BigId, nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("until", UtcTime, nullable=False),
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_review_lease_inspection_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["site_user.id"], name=op.f("fk_review_lease_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_lease")),
        sa.UniqueConstraint("inspection_id", name=op.f("uq_review_lease_inspection_id")),
    )
    op.create_index(op.f("ix_review_lease_user_id"), "review_lease", ["user_id"], unique=False)

    for statement in trigger_statements(op.get_bind().dialect.name, APPEND_ONLY):
        op.execute(statement)
