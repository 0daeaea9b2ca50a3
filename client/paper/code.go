package paper

import (
	"errors"
	"fmt"

	"rsc.io/qr/coding"
)

// level repairs 15 % of a code.
const level = coding.M

// code draws the QR code as wide as asked, the quiet zone of four modules within. It is one path: readers of PDF widen rectangles that stand
// alone to whole dots, until at 200 dots per inch nothing reads the code, and leave white hairs between neighbours.
func (d document) code(x, y, size float64, payload string) error {
	c, err := encode(payload)
	if err != nil {
		return err
	}
	const quiet = 4
	module := size / float64(c.Size+2*quiet)
	for row := range c.Size {
		for from := 0; from < c.Size; from++ {
			to := from
			for to < c.Size && c.Black(to, row) {
				to++
			}
			if to == from {
				continue
			}
			left, right := x+float64(quiet+from)*module, x+float64(quiet+to)*module
			top := y + float64(quiet+row)*module
			d.MoveTo(left, top)
			d.LineTo(right, top)
			d.LineTo(right, top+module)
			d.LineTo(left, top+module)
			d.ClosePath()
			from = to
		}
	}
	d.SetFillColor(0, 0, 0)
	d.DrawPath("F")
	return nil
}

// encode makes the QR code of a text of capitals, digits and a few signs. Of the eight masks it takes the
// one that ISO/IEC 18004 8.8.2 asks for: with another, parts of the code may look like its corners, and readers do not find it.
func encode(text string) (best *coding.Code, err error) {
	in := coding.Alpha(text)
	if err := in.Check(); err != nil {
		return nil, errors.New("make a QR code: the text has characters that are not of the dense kind")
	}
	version := coding.Version(coding.MinVersion)
	for in.Bits(version) > version.DataBytes(level)*8 {
		if version++; version > coding.MaxVersion {
			return nil, errors.New("make a QR code: the text is too long for one")
		}
	}
	least := 0
	for mask := range coding.Mask(8) {
		plan, err := coding.NewPlan(version, level, mask)
		if err != nil {
			return nil, fmt.Errorf("make a QR code: %w", err)
		}
		c, err := plan.Encode(in)
		if err != nil {
			return nil, fmt.Errorf("make a QR code: %w", err)
		}
		if p := penalty(c); best == nil || p < least {
			best, least = c, p
		}
	}
	return best, nil
}

// penalty is the standard's sum of what makes a code hard to read.
func penalty(c *coding.Code) (sum int) {
	dark := 0
	for i := range c.Size {
		sum += penaltyOfLine(c.Size, func(j int) bool { return c.Black(j, i) }) + penaltyOfLine(c.Size, func(j int) bool { return c.Black(i, j) })
		for j := range c.Size {
			b := c.Black(j, i)
			if b {
				dark++
			}
			if i > 0 && j > 0 && b == c.Black(j-1, i) && b == c.Black(j, i-1) && b == c.Black(j-1, i-1) {
				sum += 3 // a block of four
			}
		}
	}
	percent := 100 * dark / (c.Size * c.Size)
	return sum + 10*(max(percent-50, 50-percent)/5)
}

// corner is what a line through a corner's pattern looks like: 1, 1, 3, 1, 1 and four light modules, which may stand before it too.
const (
	corner       = 0b10111010000
	cornerBefore = 0b00001011101
)

func penaltyOfLine(size int, black func(i int) bool) (sum int) {
	run, last := 0, 0
	for i := range size {
		bit := 0
		if black(i) {
			bit = 1
		}
		if i > 0 && bit == last&1 {
			run++
		} else {
			run = 1
		}
		switch {
		case run == 5:
			sum += 3
		case run > 5:
			sum++
		}
		last = last<<1&0x7ff | bit
		if i >= 10 && (last == corner || last == cornerBefore) {
			sum += 40
		}
	}
	return sum
}
