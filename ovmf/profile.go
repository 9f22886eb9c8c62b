package ovmf

// Facts are what the bytes of an image say about its build.
type Facts struct{}

func findFacts(img *Image) (*Facts, error) { return &Facts{}, nil }
