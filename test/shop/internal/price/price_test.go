package price

import (
	"strings"
	"testing"
)

func TestParseFormat(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     Format
		wantErr  string
	}{
		{name: "usual currency", in: "USD:2", want: Format{"USD", 2}},
		{name: "currency without decimals", in: "JPY:0", want: Format{"JPY", 0}},
		{name: "decimals forgotten", in: "EUR", wantErr: `parse price format "EUR": want <currency>:<decimals>`},
		{name: "lower case", in: "usd:2", wantErr: "want <currency>:<decimals>"},
		{name: "empty", in: "", wantErr: "want <currency>:<decimals>"},
		{name: "decimals no number", in: "USD:two", wantErr: "decimals must be a number"},
		{name: "too many decimals", in: "USD:4", wantErr: "decimals must be a number from 0 to 3"},
		{name: "negative decimals", in: "USD:-1", wantErr: "decimals must be a number from 0 to 3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseFormat(tc.in)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error = %v, want it to hold %q", err, tc.wantErr)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Fatalf("ParseFormat(%q) = %v, %v; want %v", tc.in, got, err, tc.want)
			}
		})
	}
}

func TestTextShowsTheDecimalsOfTheCurrency(t *testing.T) {
	for format, want := range map[string]string{"USD:2": "12.50 USD", "JPY:0": "12 JPY", "KWD:3": "12.500 KWD"} {
		f, err := ParseFormat(format)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Text(1250); got != want {
			t.Errorf("%s: Text(1250) = %q, want %q", format, got, want)
		}
	}
}

func FuzzParseFormat(f *testing.F) {
	for _, s := range []string{"USD:2", "EUR", "JPY:0", "::", "ABC:+1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseFormat(s)
		if err != nil {
			return
		}
		if len(got.Currency) != 3 || got.Decimals < 0 || got.Decimals > 3 {
			t.Fatalf("ParseFormat(%q) accepted %+v", s, got)
		}
	})
}
