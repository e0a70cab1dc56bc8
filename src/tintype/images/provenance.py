"""What tells a picture's colours from a record: XMP that says that they are computed, and by which model.

Added to a packet that came with the picture, whose other bytes stay as they are:

- `Iptc4xmpExt:DigitalSourceType`: IPTC's `algorithmicallyEnhanced`, media altered by an algorithm without
  generative means; one of IPTC's terms for generated media, which claims more, stays;
- `xmpMM:History`: an event more, with the software and the model;
- `photoshop:History`: a line more, which viewers show as text;
- `xmp:CreatorTool`, where there is none.

No time is given: the same picture gives the same bytes, and coloured twice alike it is marked once.
"""

from __future__ import annotations

import re
import xml.parsers.expat
from dataclasses import dataclass
from html import escape

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
COMPUTED = SOURCE_TYPES + "algorithmicallyEnhanced"
_GENERATED = tuple(
    SOURCE_TYPES + term for term in ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
)
_RDF, _XMP = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://ns.adobe.com/xap/1.0/"
_IPTC, _PHOTOSHOP = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "http://ns.adobe.com/photoshop/1.0/"
_EVENTS, _MANAGEMENT = _XMP + "sType/ResourceEvent#", _XMP + "mm/"
_SOURCE_TYPE, _TEXT_HISTORY = f"{_IPTC} DigitalSourceType", f"{_PHOTOSHOP} History"
_HISTORY, _TOOL, _PARAMETERS = f"{_MANAGEMENT} History", f"{_XMP} CreatorTool", f"{_EVENTS} parameters"
_MAX = 1 << 22
_TAG = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*/?>""")


@dataclass(frozen=True)
class Provenance:
    """Whose colours a picture has: the software with its version, the model with its version and hash."""

    software: str
    model: str
    model_hash: str

    @property
    def sentence(self) -> str:
        """For people to read."""
        return f"Colours computed by {self.software} with the model {self.model} (SHA-256 {self.model_hash})"


def marked(xmp: bytes | None, provenance: Provenance) -> bytes:
    """The packet, or a new one, that says so too. ValueError where it is damaged: nothing can be added."""
    if not xmp or not xmp.strip(b"\0 \r\n"):
        return _new_packet(provenance)
    if len(xmp) > _MAX or b"\0" in xmp.rstrip(b"\0"):
        raise ValueError("it is very large, or no text in UTF-8")
    xmp = xmp.rstrip(b"\0")
    try:
        xmp.decode()
        found = _Packet(xmp)
    except (UnicodeDecodeError, xml.parsers.expat.ExpatError) as error:
        raise ValueError(str(error)) from None
    done = _edited(xmp, found.edits(provenance))
    _check(done)
    return done


def _edited(xmp: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """The packet with (start, end, new bytes) put in; what lies inside of what goes, goes with it."""
    parts, position = [], 0
    for start, end, text in sorted(edits):
        if start >= position:
            parts += [xmp[position:start], text]
            position = end
    return b"".join([*parts, xmp[position:]])


def _check(xmp: bytes) -> None:
    try:
        xml.parsers.expat.ParserCreate(namespace_separator=" ").Parse(xmp, True)
    except xml.parsers.expat.ExpatError as error:
        raise ValueError(f"it cannot be added to: {error}") from None


def _new_packet(provenance: Provenance) -> bytes:
    body = _description(provenance, None, None, has_history=False, has_tool=False)
    return (
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + _graph(body) + b'</x:xmpmeta>\n<?xpacket end="w"?>'
    )


def _graph(body: bytes) -> bytes:
    return f'<rdf:RDF xmlns:rdf="{_RDF}">'.encode() + body + b"</rdf:RDF>"


def _description(
    provenance: Provenance, source_type: str | None, told: str | None, *, has_history: bool, has_tool: bool
) -> bytes:
    """Our properties as a block of their own, which declares all that it uses."""
    kept = source_type if source_type in _GENERATED else COMPUTED
    lines = f"{told}\n{provenance.sentence}" if told else provenance.sentence
    parts = [
        f"<Iptc4xmpExt:DigitalSourceType>{escape(kept)}</Iptc4xmpExt:DigitalSourceType>",
        f"<photoshop:History>{escape(lines)}</photoshop:History>",
    ]
    if not has_tool:
        parts.append(f"<xmp:CreatorTool>{escape(provenance.software)}</xmp:CreatorTool>")
    if not has_history:
        parts.append(f"<xmpMM:History><rdf:Seq>{_event(provenance)}</rdf:Seq></xmpMM:History>")
    names = f'xmlns:rdf="{_RDF}" xmlns:xmp="{_XMP}" xmlns:xmpMM="{_MANAGEMENT}"'
    names += f' xmlns:Iptc4xmpExt="{_IPTC}" xmlns:photoshop="{_PHOTOSHOP}"'
    return f'<rdf:Description rdf:about="" {names}>{"".join(parts)}</rdf:Description>'.encode()


def _event(provenance: Provenance) -> str:
    return (
        f'<rdf:li xmlns:rdf="{_RDF}" xmlns:stEvt="{_EVENTS}" rdf:parseType="Resource">'
        "<stEvt:action>edited</stEvt:action>"
        f"<stEvt:softwareAgent>{escape(provenance.software)}</stEvt:softwareAgent>"
        f"<stEvt:parameters>{escape(provenance.sentence)}</stEvt:parameters></rdf:li>"
    )


class _Packet:
    """Where a packet holds what ours must be merged with, as offsets of bytes; ExpatError, ValueError."""

    def __init__(self, xmp: bytes) -> None:
        self._xmp = xmp
        self._path: list[tuple[str, int]] = []  # the open elements, and where each begins
        self._texts: list[str] = []
        self._in_history = False
        self._removed: list[tuple[int, int, bytes]] = []
        self._graph: tuple[int, int] | None = None
        self._root: tuple[int, int] | None = None
        self._sequence: tuple[int, int] | None = None
        self._has_history = self._has_tool = False
        self._told: dict[str, str] = {}
        self._events: set[str] = set()
        parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = lambda text: self._texts.append(text)
        self._parser = parser
        parser.Parse(xmp, True)

    def edits(self, provenance: Provenance) -> list[tuple[int, int, bytes]]:
        """What to replace with what: (start, end, new bytes)."""
        told = self._told.get(_TEXT_HISTORY)
        current = self._told.get(_SOURCE_TYPE)
        lines = (told or "").splitlines()
        odd = self._has_history and self._sequence is None  # no place for an event in it
        if provenance.sentence in (lines if odd else self._events) and current in (COMPUTED, *_GENERATED):
            return []
        told = "\n".join(line for line in lines if line != provenance.sentence)
        edits = list(self._removed)
        if self._sequence and provenance.sentence not in self._events:
            edits.append(self._inside(self._sequence, _event(provenance).encode()))
        body = _description(provenance, current, told, has_history=self._has_history, has_tool=self._has_tool)
        place = self._graph or self._root
        assert place is not None  # there is no XML without a root
        edits.append(self._inside(place, body if self._graph else _graph(body)))
        return edits

    def _inside(self, element: tuple[int, int], text: bytes) -> tuple[int, int, bytes]:
        """Text as the last child of an element (start, place of its end tag), maybe of an empty `<a/>`."""
        start, end = element
        tag = self._tag(start)
        if not tag.endswith(b"/>"):
            return end, end, text
        name = re.split(rb"[\s/>]", tag[1:], maxsplit=1)[0]
        return start + len(tag) - 2, start + len(tag), b">" + text + b"</" + name + b">"

    def _tag(self, start: int) -> bytes:
        found = _TAG.match(self._xmp, start)
        if found is None:
            raise ValueError("it has a tag that cannot be read")
        return found[0]

    def _refuse(self, *_: object) -> None:
        raise ValueError("it has a document type")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        start = self._parser.CurrentByteIndex
        if self._path and self._path[-1][0] in (_SOURCE_TYPE, _TEXT_HISTORY):
            raise ValueError("its history or source type is no plain text")
        is_own = self._is_own()
        self._path.append((name, start))
        describes = self._is_own()
        self._texts.clear()
        self._has_tool |= (describes and _TOOL in attributes) or (is_own and name == _TOOL)
        if is_own and name == _HISTORY:
            self._has_history = self._in_history = True
        if self._in_history and _PARAMETERS in attributes:
            self._events.add(attributes[_PARAMETERS])
        resource = attributes.get(f"{_RDF} resource")
        if is_own and name in (_SOURCE_TYPE, _TEXT_HISTORY) and resource is not None:
            self._told[name] = resource
        for key in (_SOURCE_TYPE, _TEXT_HISTORY) if describes else ():
            if key in attributes:
                self._told[key] = attributes[key]
                self._take_out(start, key.split()[1])

    def _is_own(self) -> bool:
        """Whether what is open is the picture's own description, and not of one that it is made of."""
        return [name for name, _ in self._path[-2:]] == [f"{_RDF} RDF", f"{_RDF} Description"]

    def _take_out(self, start: int, local: str) -> None:
        """Remove an attribute from the tag at `start`: of a name that ends so, as prefixes are free."""
        tag = self._tag(start)
        # Spaces are taken from their first on: from each of many in turn would take the square of the time.
        pattern = rb"""(?<!\s)\s+[^\s=:]+:%s\s*=\s*(?:"[^"]*"|'[^']*')""" % local.encode()
        for found in re.finditer(pattern, tag):
            self._removed.append((start + found.start(), start + found.end(), b""))

    def _end(self, name: str) -> None:
        _, start = self._path.pop()
        end = self._parser.CurrentByteIndex
        text = "".join(self._texts).strip()
        self._texts.clear()
        if name == _HISTORY and self._is_own():
            self._in_history = False
        elif name in (_SOURCE_TYPE, _TEXT_HISTORY) and self._is_own():
            self._told[name] = text or self._told.get(name, "")
            tag = self._tag(start)
            whole = start + len(tag) if tag.endswith(b"/>") else self._xmp.index(b">", end) + 1
            self._removed.append((start, whole, b""))
        elif name == _PARAMETERS and self._in_history:
            self._events.add(text)
        elif name == f"{_RDF} Seq" and self._in_history:
            self._sequence = (start, end)
        elif name == f"{_RDF} RDF" and self._graph is None:
            self._graph = (start, end)
        if not self._path:
            self._root = (start, end)
