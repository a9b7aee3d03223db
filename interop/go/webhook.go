package main

import (
	"net/http"

	"github.com/patrickcping/pingone-go-sdk-v2/management"
)

func (s *session) subscription() string {
	api := s.management.SubscriptionsWebhooksApi
	webhook := func(name, url string, actions ...string) management.Subscription {
		filter := management.NewSubscriptionFilterOptions(actions)
		webhook := management.NewSubscription(false, *filter, name, true)
		webhook.SetFormat(management.ENUMSUBSCRIPTIONFORMAT_ACTIVITY)
		endpoint := management.NewSubscriptionHttpEndpoint(url)
		endpoint.SetHeaders(map[string]string{"Authorization": "Bearer " + name})
		webhook.SetHttpEndpoint(*endpoint)
		return *webhook
	}
	return live(s, kind[management.Subscription]{
		name:    "a webhook",
		made:    webhook("Go", "https://siem.example.org/1", "DEVICE.CREATED", "DEVICE.DELETED"),
		changed: webhook("Go-2", "https://siem.example.org/2", "DEVICE.CREATED"),
		create: func(sent management.Subscription) (any, *http.Response, error) {
			return api.CreateSubscription(s.ctx, s.EnvironmentID).Subscription(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneSubscription(s.ctx, s.EnvironmentID, id).Execute()
		},
		update: func(id string, sent management.Subscription) (any, *http.Response, error) {
			return api.UpdateSubscription(s.ctx, s.EnvironmentID, id).Subscription(sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllSubscriptions(s.ctx, s.EnvironmentID).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetSubscriptions))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteSubscription(s.ctx, s.EnvironmentID, id).Execute()
		},
	})
}
