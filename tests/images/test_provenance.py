"""Results say in their XMP that their colours are computed, and lose nothing of what it said before."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from picture_makers import GREY, encoded, opened
from test_images_metadata import IPTC, RICH, XMP, source_of, xmp_of

from tintype import Colorizer
from tintype.images import Provenance
from tintype.images.provenance import COMPUTED, marked

OURS = Provenance("Tintype 1.2.3", "tint 4", "abcd")
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NAMES = {
    "rdf": RDF,
    "ext": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "mm": "http://ns.adobe.com/xap/1.0/mm/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "ps": "http://ns.adobe.com/photoshop/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "event": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
}


def texts(xmp: bytes, path: str) -> list[str | None]:
    return [element.text for element in ElementTree.fromstring(xmp).findall(f".//{path}", NAMES)]


def packet(properties: str = "", attributes: str = "") -> bytes:
    names = " ".join(f'xmlns:{key}="{value}"' for key, value in NAMES.items() if key != "rdf")
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<!-- a note -->'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="{RDF}"><r:Description r:about="" {names} '
        f"{attributes}>{properties.replace('rdf:', 'r:')}</r:Description></r:RDF></x:xmpmeta>   \n"
        '<?xpacket end="w"?>'
    ).encode()


@pytest.mark.parametrize("kind", RICH)
def test_every_format_with_xmp_says_so(kind: str, tiny_model: Path) -> None:
    colorizer = Colorizer(tiny_model)
    for source in (source_of(kind), encoded(GREY, kind)):
        xmp = xmp_of(opened(colorizer(source)))
        assert texts(xmp, "ext:DigitalSourceType") == [COMPUTED]
        (told,) = texts(xmp, "mm:History//event:parameters")
        assert (
            told
            == f"Colours computed by Tintype 0.1.0 with the model tiny 1 (SHA-256 {colorizer.card.sha256})"
        )
        assert texts(xmp, "ps:History") == [told]
        assert (b"Grandmother, 1931" in xmp) is (source == source_of(kind))


@pytest.mark.parametrize("kind", RICH)
def test_coloured_twice_it_is_said_once(kind: str, tiny_model: Path) -> None:
    colorizer = Colorizer(tiny_model)
    once = xmp_of(opened(colorizer(source_of(kind))))
    assert xmp_of(opened(colorizer(colorizer(source_of(kind))))) == once


@pytest.mark.parametrize("kind", RICH)
def test_without_provenance_the_xmp_is_as_it_was(kind: str, tiny_model: Path) -> None:
    colorizer = Colorizer(tiny_model, provenance=False)
    assert xmp_of(opened(colorizer(source_of(kind)))).strip() == XMP
    info = opened(colorizer(encoded(GREY, kind))).info
    assert not {"xmp", "XML:com.adobe.xmp"} & info.keys()


def test_other_metadata_is_what_it_is_without(tiny_model: Path) -> None:
    for kind in RICH:
        told, untold = (
            opened(Colorizer(tiny_model, provenance=value)(source_of(kind))) for value in (True, False)
        )
        assert told.tobytes() == untold.tobytes()
        assert dict(told.getexif()) | {700: 0} == dict(untold.getexif()) | {700: 0}
        rest = told.info.keys() - {"xmp", "XML:com.adobe.xmp", "exif"}
        assert {key: told.info[key] for key in rest} == {key: untold.info[key] for key in rest}
    assert IPTC in Colorizer(tiny_model)(source_of("JPEG"))


def test_what_a_packet_said_stays_to_the_byte() -> None:
    said = (
        '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">A &amp; B</rdf:li></rdf:Alt></dc:description>'
    )
    before = packet(said, 'xmp:CreatorTool="Scanner &#10; 3"')
    after = marked(before, OURS)
    added = after[after.index(b"<rdf:Description") : after.rindex(b"</r:RDF>")]
    assert after.replace(added, b"") == before
    assert texts(after, "xmp:CreatorTool") == []  # it has one, as an attribute
    assert marked(after, OURS) == after


@pytest.mark.parametrize("form", ["element", "attribute", "resource"])
def test_a_source_type_gives_way_but_for_a_stronger_one(form: str) -> None:
    def of(term: str) -> bytes:
        url = COMPUTED.rsplit("/", 1)[0] + "/" + term
        if form == "attribute":
            return packet(attributes=f"ext:DigitalSourceType='{url}'")
        if form == "resource":
            return packet(f'<ext:DigitalSourceType rdf:resource="{url}"/>')
        return packet(f"<ext:DigitalSourceType>{url}</ext:DigitalSourceType>")

    for term, kept in (("print", COMPUTED), ("trainedAlgorithmicMedia", None)):
        after = marked(of(term), OURS)
        assert texts(after, "ext:DigitalSourceType") == [kept or COMPUTED.rsplit("/", 1)[0] + "/" + term]
        assert after.count(b"digitalsourcetype/") == 1
        assert marked(after, OURS) == after


def test_histories_go_on() -> None:
    event = '<rdf:li rdf:parseType="Resource"><event:action>saved</event:action></rdf:li>'
    before = packet(f"<mm:History><rdf:Seq>{event}</rdf:Seq></mm:History><ps:History>Cleaned.</ps:History>")
    after = marked(before, OURS)
    assert texts(after, "mm:History/rdf:Seq/rdf:li/event:action") == ["saved", "edited"]
    assert texts(after, "ps:History") == [f"Cleaned.\n{OURS.sentence}"]
    other = marked(after, Provenance("Tintype 2", "mean 1", "ef"))
    assert len(texts(other, "mm:History/rdf:Seq/rdf:li")) == 3
    assert len(texts(other, "mm:History")) == len(texts(other, "ps:History")) == 1


@pytest.mark.parametrize(
    "before",
    [
        b"<x/>",
        packet("<mm:History/>"),
        packet("<mm:History><rdf:Seq/></mm:History>"),
        f'<r:RDF xmlns:r="{RDF}"/>'.encode(),
    ],
)
def test_odd_packets_are_marked_once(before: bytes) -> None:
    after = marked(before, OURS)
    assert texts(after, "ext:DigitalSourceType") == [COMPUTED]
    assert marked(after, OURS) == after


@pytest.mark.parametrize(
    "damaged",
    [
        b"<x:xmpmeta>",
        b"no XML",
        packet().decode().encode("utf-16"),
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b"<x>" + bytes(9) + b"</x>",
        packet("<ps:History><ext:DigitalSourceType>a</ext:DigitalSourceType></ps:History>"),
        b"<x>" + b" " * (1 << 22) + b"</x>",
    ],
)
def test_damaged_xmp_stays_and_is_told(damaged: bytes, tiny_model: Path) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        marked(damaged, OURS)
    data, result = Colorizer(tiny_model).colorize_bytes(encoded(GREY, "WEBP", xmp=damaged))
    assert xmp_of(opened(data)) == damaged
    assert any("XMP is damaged" in note for note in result.notes)


def test_xmp_that_fills_a_jpeg_segment_stays(tiny_model: Path) -> None:
    full = b"<x>" + b"y" * 65_400 + b"</x>"
    data, result = Colorizer(tiny_model).colorize_bytes(encoded(GREY, "JPEG", xmp=full))
    assert xmp_of(opened(data)) == full
    assert any("fills all its room" in note for note in result.notes)


def test_deep_nesting_takes_no_time() -> None:
    deep = b"<a>" * 300_000 + b"</a>" * 300_000
    assert marked(deep, OURS).startswith(b"<a><a>")


def test_packets_made_of_what_must_be_taken_out_are_marked_once() -> None:
    """Copying the packet for each of these would take hours."""
    repeated = packet("<ext:DigitalSourceType/>" * 150_000)
    after = marked(repeated, OURS)
    assert texts(after, "ext:DigitalSourceType") == [COMPUTED]
    spaced = packet(attributes=" " * 1_000_000 + 'xmp:CreatorTool="a" ps:History="b"')
    assert texts(marked(spaced, OURS), "ps:History") == [f"b\n{OURS.sentence}"]
    ends = b"<a>" * 200_000 + b"</a>x" * 199_999 + b"</a>"
    assert marked(ends, OURS).startswith(b"<a><a>")


def test_what_ingredients_say_of_themselves_stays_theirs() -> None:
    """Photoshop's composites carry whole descriptions of the pictures that they are made of."""
    theirs = (
        "<mm:Pantry><rdf:Bag><rdf:li><rdf:Description><mm:History><rdf:Seq><rdf:li "
        'event:parameters="painted"/></rdf:Seq></mm:History><ext:DigitalSourceType>'
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia</ext:DigitalSourceType>"
        "<ps:History>theirs</ps:History></rdf:Description></rdf:li></rdf:Bag></mm:Pantry>"
    )
    after = marked(packet(theirs), OURS)
    assert after is not None
    assert theirs.replace("rdf:", "r:").encode() in after
    own = ElementTree.fromstring(after).findall("rdf:RDF/rdf:Description", NAMES)
    told = [element.text for one in own for element in one.findall("ext:DigitalSourceType", NAMES)]
    assert told == [COMPUTED]
    assert len([event for one in own for event in one.findall("mm:History/rdf:Seq/rdf:li", NAMES)]) == 1
