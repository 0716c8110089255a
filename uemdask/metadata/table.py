"""The table of acquisition metadata: names, units, and what others call the same thing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MetadataEntry:
    """One piece of acquisition metadata.

    Attributes
    ----------
    name : str
        The attribute of the store, and the key of ``metadata.yaml``.
    kind : str
        A kind of quantity of `uemdask.units.UNITS`, or ``"text"``, ``"date"``, ``"notes"``.
    unit : str
        Canonical unit, empty where there is none.
    long_name, example : str
        What it is, and what might be written.
    hyperspy : tuple of str
        Paths in HyperSpy's metadata: the first is written, the others are read as well. Without
        one it goes to `HYPERSPY_REST`.
    hyperspy_unit : str
        Unit that HyperSpy takes for granted.
    nexus, nexus_unit : str
        Path of the field in a NeXus file, and its unit. Without one it goes to `NEXUS_REST`.
    vendor : tuple of (path, unit)
        Tags that hold it, the surest first; paths are matched from their end, ``*`` is any name.
        The unit is that of a bare number; of a date it is the form. Without a unit the tag must
        say its own.
    """

    name: str
    kind: str
    unit: str
    long_name: str
    example: str
    hyperspy: tuple[str, ...] = ()
    hyperspy_unit: str = ""
    nexus: str = ""
    nexus_unit: str = ""
    vendor: tuple[tuple[str, str], ...] = ()

    @property
    def is_quantity(self) -> bool:
        """Whether the value is a number with a unit."""
        return self.unit != ""


#: Where HyperSpy and NeXus keep what they have no name for.
HYPERSPY_REST = "Uemdask.metadata"
NEXUS_REST = "/entry/collection"

_TEM = "Acquisition_instrument.TEM"
_CAMERA = f"{_TEM}.Detector.Camera"
_LASER = "Acquisition_instrument.Laser"
_INSTRUMENT = "/entry/measurement/instrument"

#: All known acquisition metadata by name, in the order in which they are shown.
#: HyperSpy: metadata structure of its user guide, and the names its readers use. NeXus: NXem, with
#: NXsource, NXbeam, NXdetector, NXsample and NXuser. `docs/metadata.md` holds the same table.
ENTRIES: dict[str, MetadataEntry] = {
    entry.name: entry
    for entry in (
        MetadataEntry(
            "sample", "text", "", "sample", "Ge wedge",
            ("Sample.description",), "", "/entry/sample/name", "",
            (("Session Info.Specimen", ""), ("Microscope Info.Specimen", "")),
        ),
        MetadataEntry(
            "sample_thickness", "length", "nm", "thickness of the sample", "60 nm",
            ("Sample.thickness",), "m", "/entry/sample/thickness", "nm",
        ),
        MetadataEntry(
            "temperature", "temperature", "K", "temperature of the sample", "293 K",
            ("Sample.temperature",), "K", "/entry/sample/temperature", "K",
        ),
        MetadataEntry(
            "operator", "text", "", "who took the data", "A. B.",
            ("General.authors",), "", "/entry/user1/name", "",
            (
                ("Session Info.Operator", ""),
                ("Microscope Info.Operator", ""),
                ("ExperimentalDescription.User", ""),
                ("Artist", ""),
            ),
        ),
        MetadataEntry(
            "date", "date", "", "when the data were taken", "2024-05-03T14:30:00",
            ("General.date", "General.time", "General.time_zone"), "", "/entry/start_time", "",
            (
                ("DataBar.Acquisition Time (OS)", "filetime"),
                ("DataBar.Acquisition Date", "month/day/year"),
                ("AcquisitionStartDatetime.DateTime", "seconds since 1970"),
                ("ObjectInfo.AcquireDate", "ctime"),
                ("DateTime", "year:month:day"),
            ),
        ),
        MetadataEntry(
            "microscope", "text", "", "microscope", "UEM 1",
            (f"{_TEM}.microscope", "Acquisition_instrument.SEM.microscope"), "",
            f"{_INSTRUMENT}/name", "",
            (
                ("Session Info.Microscope", ""),
                ("Microscope Info.Microscope", ""),
                ("Microscope Info.Name", ""),
                ("ExperimentalDescription.Microscope", ""),
                ("Instrument.InstrumentClass", ""),
            ),
        ),
        MetadataEntry(
            "beam_energy", "energy", "keV", "electron energy", "200 keV",
            (f"{_TEM}.beam_energy", "Acquisition_instrument.SEM.beam_energy"), "keV",
            f"{_INSTRUMENT}/ebeam_column/electron_source/voltage", "kV",
            (
                ("Microscope Info.Voltage", "V"),
                ("ExperimentalDescription.High tension_kV", "kV"),
                ("Optics.AccelerationVoltage", "V"),
                ("MicroscopeConditions.AcceleratingVoltage", "V"),
            ),
        ),
        MetadataEntry(
            "detector", "text", "", "camera", "OneView",
            (f"{_CAMERA}.name", f"{_CAMERA}.Name"), "",
            f"{_INSTRUMENT}/detector1/description", "",
            (
                ("DataBar.Device Name", ""),
                ("AcquireInfo.CameraNamePath", ""),
                ("BinaryResult.Detector", ""),
            ),
        ),
        MetadataEntry(
            "exposure", "time", "s", "exposure of a frame", "10 s",
            (f"{_CAMERA}.exposure", f"{_TEM}.Camera.exposure"), "s",
            f"{_INSTRUMENT}/detector1/count_time", "s",
            (
                ("DataBar.Exposure Time (s)", "s"),
                ("High Level.Exposure (s)", "s"),
                ("Detectors.*.ExposureTime", "s"),
                ("AcquireInfo.DwellTimePath", "s"),
            ),
        ),
        MetadataEntry(
            "pixel_size", "length", "nm", "size of a pixel on the sample (y, x)", "3 nm, 2.5 nm"
        ),
        MetadataEntry("time_zero", "time", "ps", "delay of time zero, already taken off", "12 ps"),
        MetadataEntry(
            "offset", "count", "counts", "counts of a pixel without the beam, taken off on reading",
            "100 counts",
        ),
        MetadataEntry(
            "pump_wavelength", "length", "nm", "wavelength of the pump", "515 nm",
            (f"{_LASER}.wavelength",), "nm", f"{_INSTRUMENT}/source_pump/wavelength", "nm",
            (("LaserParameter.Wavelength", "nm"),),
        ),
        MetadataEntry(
            "pump_fluence", "fluence", "mJ/cm²", "fluence of the pump on the sample", "5 mJ/cm²",
            (f"{_LASER}.fluence",), "mJ/cm²", f"{_INSTRUMENT}/beam_pump/fluence", "mJ/cm^2",
        ),
        MetadataEntry(
            "pump_power", "power", "mW", "mean power of the pump", "150 mW",
            (f"{_LASER}.power",), "mW", f"{_INSTRUMENT}/beam_pump/average_power", "mW",
            (("LaserParameter.Laser Power", ""),),
        ),
        MetadataEntry(
            "pump_duration", "time", "fs", "duration of a pump pulse (FWHM)", "300 fs",
            (f"{_LASER}.pulse_duration",), "fs", f"{_INSTRUMENT}/beam_pump/pulse_duration", "fs",
        ),
        MetadataEntry(
            "repetition_rate", "frequency", "kHz", "repetition rate of the pump", "25 kHz",
            (f"{_LASER}.repetition_rate",), "kHz", f"{_INSTRUMENT}/source_pump/frequency", "kHz",
            # The first spelling is that of the instruments.
            (("LaserParameter.Repitition Rate", ""), ("LaserParameter.Repetition Rate", "")),
        ),
        MetadataEntry(
            "notes", "notes", "", "what is worth saying", "thin at the left edge",
            ("General.notes",), "", "/entry/note1/description", "",
        ),
    )
}  # fmt: skip

#: Attributes of a store that are no acquisition metadata.
RESERVED = ("coordinates", "pixel_size_units", "uemdask", "vendor")
