"""The stages of a run: which regions they work on, and which kernels they call."""

from pydantic import Field

from uemdask.stages.align import ALIGN, AlignParameters
from uemdask.stages.digest import digest_of
from uemdask.stages.feature import FEATURE, FeatureParameters
from uemdask.stages.flow import FLOW, FlowParameters
from uemdask.stages.ingest import INGEST, IngestParameters
from uemdask.stages.label import LABEL, LabelParameters
from uemdask.stages.mode import MODE, ModeParameters
from uemdask.stages.pairs import PAIRS, PairParameters
from uemdask.stages.spectrum import SPECTRUM, SpectrumParameters
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage
from uemdask.stages.train import TRAIN, TrainParameters

#: Every stage by name, in order.
STAGE_BY_NAME: dict[str, Stage] = {
    stage.name: stage
    for stage in (INGEST, ALIGN, SPECTRUM, PAIRS, LABEL, TRAIN, FLOW, FEATURE, MODE)
}


class StageParameters(Parameters):
    """Settings of all stages, each under its name."""

    ingest: IngestParameters = Field(default_factory=IngestParameters)
    align: AlignParameters = Field(default_factory=AlignParameters)
    spectrum: SpectrumParameters = Field(default_factory=SpectrumParameters)
    pairs: PairParameters = Field(default_factory=PairParameters)
    label: LabelParameters = Field(default_factory=LabelParameters)
    train: TrainParameters = Field(default_factory=TrainParameters)
    flow: FlowParameters = Field(default_factory=FlowParameters)
    feature: FeatureParameters = Field(default_factory=FeatureParameters)
    mode: ModeParameters = Field(default_factory=ModeParameters)


__all__ = ["STAGE_BY_NAME", "Phase", "Receipt", "Stage", "StageParameters", "digest_of"]
