package predict

// An Answer is what is known of a yes-or-no question. The zero value is not a yes.
type Answer uint8

// The answers.
const (
	Unknown Answer = iota
	No
	Yes
)

// String returns the answer in lower case.
func (a Answer) String() string { return [...]string{"unknown", "no", "yes"}[a] }

// not returns the opposite of a known answer.
func (a Answer) not() Answer {
	switch a {
	case Yes:
		return No
	case No:
		return Yes
	}
	return Unknown
}

// answer turns what is known into an Answer.
func answer(yes bool) Answer {
	if yes {
		return Yes
	}
	return No
}
