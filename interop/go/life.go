package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/patrickcping/pingone-go-sdk-v2/management"
	"github.com/patrickcping/pingone-go-sdk-v2/mfa"
)

// kind is a kind of object by the calls that the client has for it. S is the model of what is sent.
type kind[S any] struct {
	name string
	// What is sent at first, and then instead of it. Without update, changed is not sent.
	made, changed S
	create        func(S) (any, *http.Response, error)
	read          func(id string) (any, *http.Response, error)
	update        func(id string, sent S) (any, *http.Response, error)
	// The ids of all there are, page by page; nil: the client has no call for it.
	list   func() ([]string, error)
	remove func(id string) (*http.Response, error)
	// Members that are sent and never answered.
	writeOnly []string
}

// live makes an object, reads, lists, and changes it, compares each answer with what was sent, and leaves the removal for later.
func live[S any](s *session, k kind[S]) string {
	answer, response, err := k.create(k.made)
	if err != nil {
		s.tell(k.name+" is made", told(err, response))
		return ""
	}
	id := members(answer)["id"].(string)
	s.undo = append(s.undo, step{k.name + " is removed", func() error { return k.isRemoved(id) }})
	s.tell(k.name+" is made", k.differs(k.made, answer))
	answer, response, err = k.read(id)
	s.tell(k.name+" is read", first(told(err, response), func() error { return k.differs(k.made, answer) }))
	if k.list != nil {
		s.tell(k.name+" is listed", k.isListed(id))
	}
	if k.update == nil {
		return id
	}
	answer, response, err = k.update(id, k.changed)
	s.tell(k.name+" is changed", first(told(err, response), func() error { return k.differs(k.changed, answer) }))
	answer, response, err = k.read(id)
	s.tell(k.name+" stays changed", first(told(err, response), func() error { return k.differs(k.changed, answer) }))
	return id
}

func (k kind[S]) isListed(id string) error {
	listed, err := k.list()
	if err != nil {
		return told(err, nil)
	}
	if !slices.Contains(listed, id) {
		return fmt.Errorf("%s is not among the %d listed", id, len(listed))
	}
	return nil
}

func (k kind[S]) isRemoved(id string) error {
	if response, err := k.remove(id); err != nil {
		return told(err, response)
	}
	_, response, err := k.read(id)
	if err == nil {
		return errors.New("it can still be read")
	}
	if response == nil || response.StatusCode != http.StatusNotFound {
		return told(err, response)
	}
	return nil
}

func (k kind[S]) differs(sent S, answer any) error {
	wanted := members(sent)
	for _, name := range k.writeOnly {
		delete(wanted, name)
	}
	return differs("", wanted, members(answer))
}

// differs names the first member that was sent and is not answered alike. The order of lists does not count.
func differs(path string, sent, answer any) error {
	switch sent := sent.(type) {
	case map[string]any:
		object, ok := answer.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: sent an object, answered %v", path, answer)
		}
		for name, value := range sent {
			if err := differs(path+"."+name, value, object[name]); err != nil {
				return err
			}
		}
		return nil
	case []any:
		list, ok := answer.([]any)
		if !ok || len(list) != len(sent) {
			return fmt.Errorf("%s: sent %v, answered %v", path, sent, answer)
		}
		for _, value := range sent {
			if !has(list, value) {
				return fmt.Errorf("%s: sent %v, which is not in %v", path, value, list)
			}
		}
		return nil
	default:
		if !reflect.DeepEqual(sent, answer) {
			return fmt.Errorf("%s: sent %v, answered %v", path, sent, answer)
		}
		return nil
	}
}

func has(list []any, value any) bool {
	for _, one := range list {
		if differs("", value, one) == nil {
			return true
		}
	}
	return false
}

// members is a model as the wire has it.
func members(model any) map[string]any {
	text, err := json.Marshal(model)
	if err != nil {
		panic(err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(text, &members); err != nil {
		panic(err)
	}
	return members
}

// told is an error with the body of the answer, which the client leaves out.
func told(err error, response *http.Response) error {
	if err == nil {
		return nil
	}
	var bodied interface{ Body() []byte }
	if errors.As(err, &bodied) && len(bodied.Body()) > 0 {
		return fmt.Errorf("%w: %s", err, bodied.Body())
	}
	if response != nil {
		return fmt.Errorf("%w (%s)", err, response.Status)
	}
	return err
}

func first(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

// managed has the members of every page that the management client gives.
func managed[T any](
	pages management.EntityArrayPagedIterator,
	pick func(*management.EntityArrayEmbedded) []T,
) ([]T, error) {
	var all []T
	for page, err := range pages {
		if err != nil {
			return nil, err
		}
		all = append(all, pick(page.EntityArray.Embedded)...)
	}
	return all, nil
}

// authenticating has the members of every page that the MFA client gives.
func authenticating[T any](
	pages mfa.EntityArrayPagedIterator,
	pick func(*mfa.EntityArrayEmbedded) []T,
) ([]T, error) {
	var all []T
	for page, err := range pages {
		if err != nil {
			return nil, err
		}
		all = append(all, pick(page.EntityArray.Embedded)...)
	}
	return all, nil
}

func ids[T any](of []T, err error) ([]string, error) {
	var ids []string
	for _, one := range of {
		id, _ := members(one)["id"].(string)
		ids = append(ids, id)
	}
	return ids, err
}
