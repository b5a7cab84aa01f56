"""Every table of the station, and which of them only grow."""

from __future__ import annotations

from blemish.station.database.base import Base
from blemish.station.database.labels import (
    AnnotationRow,
    AnnotationSetRow,
    DatasetItemRow,
    DatasetRow,
    DefectClassRow,
    ReviewLeaseRow,
    ReviewRow,
)
from blemish.station.database.lines import BundleRow, DecisionRow, IngestPlaceRow, LineRow, PromotionRow
from blemish.station.database.parts import (
    AnswerRow,
    DefectRow,
    ImageRow,
    InspectionRow,
    LineEventRow,
    PartRow,
)
from blemish.station.database.people import AuditHeadRow, AuditRow, SessionRow, TokenRow, UserRow
from blemish.station.database.work import ComparisonRow, JobRow

APPEND_ONLY: dict[str, type[Base]] = {
    table.__tablename__: table
    for table in (
        DecisionRow,
        PromotionRow,
        InspectionRow,
        DefectRow,
        AnswerRow,
        LineEventRow,
        ReviewRow,
        AnnotationSetRow,
        AnnotationRow,
        DatasetItemRow,
        ComparisonRow,
        AuditRow,
    )
}
OTHERS = (
    UserRow, SessionRow, TokenRow, AuditHeadRow, LineRow, BundleRow, IngestPlaceRow, PartRow, ImageRow,
    DefectClassRow, ReviewLeaseRow, DatasetRow, JobRow,
)  # fmt: skip
METADATA = Base.metadata
