package data

// Collect is the batch that is the samples themselves: for New.
func Collect[T any](samples []T) ([]T, error) { return samples, nil }

// Pad puts sequences into the rows of a matrix [len(rows), columns], row after row: columns is the length of
// the longest, and shorter ones end in with.
func Pad[E any](rows [][]E, with E) (matrix []E, columns int) {
	for _, r := range rows {
		columns = max(columns, len(r))
	}
	matrix = make([]E, 0, len(rows)*columns)
	for i, r := range rows {
		for matrix = append(matrix, r...); len(matrix) < (i+1)*columns; {
			matrix = append(matrix, with)
		}
	}
	return matrix, columns
}
