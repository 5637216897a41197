package api

type answerCache struct{}

func newAnswerCache() *answerCache { return &answerCache{} }
