package archive

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/reckon-project/reckon/events"
)

// Reader reads a segment from its beginning to its end and checks all of it.
// Use it once.
type Reader struct {
	name  string
	r     *bufio.Reader
	index *index // the footer, once it was met
	// The manifest, which says where the running hash begins, comes last: so the
	// events' digests are kept until then, 32 bytes each.
	digests []events.Digest
}

// NewReader reads the segment r; name is what errors call it. What isn't a
// segment is an error of class events.ErrInvalid.
func NewReader(r io.Reader, name string) (*Reader, error) {
	s := &Reader{name: name, r: bufio.NewReaderSize(r, 1<<16)}
	b := make([]byte, len(head))
	if _, err := io.ReadFull(s.r, b); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if !bytes.Equal(b, head) {
		return nil, fmt.Errorf("%w: %s is not a log segment of format %d", events.ErrInvalid, name, Format)
	}
	return s, nil
}

// Frames yields the events frame by frame. A damaged frame comes as *Damaged,
// and reading goes on behind it where its end is known. At the end the whole is
// compared with the manifest: a *Damaged with frame -1 says that they differ.
func (s *Reader) Frames() iter.Seq2[[]*events.Event, error] {
	return func(yield func([]*events.Event, error) bool) {
		var read []frame
		damaged := false
		offset := int64(len(head))
		for n := 0; ; n++ {
			f, news, err := s.frame(n)
			if errors.Is(err, errFooter) {
				break
			}
			if d := (*Damaged)(nil); errors.As(err, &d) {
				damaged = true
				if !yield(nil, err) || d.Last == 0 {
					return // where the next frame begins is unknown
				}
			} else if err != nil {
				yield(nil, err)
				return
			} else {
				for _, e := range news {
					s.digests = append(s.digests, e.Digest())
				}
				if !yield(news, nil) {
					return
				}
			}
			f.Offset = offset
			offset += f.Length
			read = append(read, f)
		}
		if err := s.compare(read); err != nil && !damaged {
			yield(nil, &Damaged{Segment: s.name, Frame: -1, Err: err})
		}
	}
}

// Manifest is the segment's, known when Frames has come to its end.
func (s *Reader) Manifest() (Manifest, bool) {
	if s.index == nil {
		return Manifest{}, false
	}
	return s.index.Manifest, true
}

var errFooter = errors.New("the footer")

// frame reads the n-th frame, or the footer (errFooter).
func (s *Reader) frame(n int) (frame, []*events.Event, error) {
	bad := func(f frame, err error) (frame, []*events.Event, error) {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the file is cut off")
		}
		return f, nil, &Damaged{Segment: s.name, Frame: n, First: f.First, Last: f.Last, Err: err}
	}
	var b [frameHeader]byte
	if _, err := io.ReadFull(s.r, b[:skippable]); err != nil {
		return bad(frame{}, err)
	}
	size := binary.LittleEndian.Uint32(b[4:])
	switch magic := binary.LittleEndian.Uint32(b[:]); {
	case magic == footerMagic:
		return frame{}, nil, s.footer(int64(size))
	case magic != frameMagic || size != framePayload:
		return bad(frame{}, errors.New("there is no frame header"))
	}
	if _, err := io.ReadFull(s.r, b[skippable:]); err != nil {
		return bad(frame{}, err)
	}
	f, err := decodeHeader(b[skippable:])
	if err != nil {
		return bad(frame{}, err)
	}
	var compressed bytes.Buffer // grows with what is there, not with what a header says
	if _, err := io.CopyN(&compressed, s.r, f.Length-frameHeader); err != nil {
		return bad(frame{First: f.First}, err)
	}
	content, err := f.open(compressed.Bytes())
	if err != nil {
		return bad(f, err)
	}
	news, err := f.events(content, 0, math.MaxUint64, nil)
	if newer := (*events.NewerEnvelope)(nil); errors.As(err, &newer) {
		return f, nil, err
	}
	if err != nil {
		return bad(f, err)
	}
	return f, news, nil
}

func (s *Reader) footer(size int64) error {
	fail := func(err error) error { return &Damaged{Segment: s.name, Frame: -1, Err: err} }
	if size > maxFooter || size < trailer {
		return fail(errors.New("its footer is malformed"))
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, s.r, size); err != nil {
		return fail(errors.New("its footer is cut off"))
	}
	data := b.Bytes()[:size-trailer]
	end := b.Bytes()[size-trailer:]
	if string(end[8:]) != trailerMagic || binary.LittleEndian.Uint64(end) != uint64(len(data)) {
		return fail(errors.New("its footer is malformed"))
	}
	x, err := decodeIndex(data)
	if err != nil {
		return fail(err)
	}
	if _, err := s.r.ReadByte(); !errors.Is(err, io.EOF) {
		return fail(errors.New("there is something behind its footer"))
	}
	s.index = x
	return errFooter
}

// compare says where the frames read differ from the index.
func (s *Reader) compare(read []frame) error {
	if len(read) != len(s.index.Frames) {
		return fmt.Errorf("it has %d frames, its manifest says %d", len(read), len(s.index.Frames))
	}
	for i := range read {
		if want := &s.index.Frames[i]; !read[i].same(want) || read[i].Offset != want.Offset {
			return fmt.Errorf("frame %d is not the one of the manifest", i)
		}
	}
	return s.compareChain()
}

// compareChain folds the events' digests and compares with what the manifest
// says about the running hash.
func (s *Reader) compareChain() error {
	if s.index.Chain == nil {
		return nil
	}
	begin := Manifest{Chain: &Chain{End: s.index.Chain.Begin}}
	chain, ok := begin.after()
	end, ok2 := s.index.after()
	if !ok || !ok2 {
		return errors.New("its manifest's chain is malformed")
	}
	for _, d := range s.digests {
		chain = chain.Next(d)
	}
	if chain != end {
		return errors.New("its events don't give the running hash that the manifest says")
	}
	return nil
}
