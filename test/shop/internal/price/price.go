// Package price turns amounts into text the way the shop's region wants it.
package price

import (
	"fmt"
	"strconv"
	"strings"
)

// Format says how amounts are shown: a currency and its number of decimals.
type Format struct {
	Currency string // ISO 4217, three capital letters
	Decimals int    // 0..3
}

// ParseFormat reads "<currency>:<decimals>", for example "USD:2".
func ParseFormat(s string) (Format, error) {
	code, digits, found := strings.Cut(s, ":")
	if !found || len(code) != 3 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return Format{}, fmt.Errorf("parse price format %q: want <currency>:<decimals>, for example USD:2", s)
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > 3 {
		return Format{}, fmt.Errorf("parse price format %q: decimals must be a number from 0 to 3", s)
	}
	return Format{Currency: code, Decimals: n}, nil
}

// Text shows an amount given in hundredths of the currency, for example "12.50 USD".
func (f Format) Text(cents int64) string {
	return strconv.FormatFloat(float64(cents)/100, 'f', f.Decimals, 64) + " " + f.Currency
}
